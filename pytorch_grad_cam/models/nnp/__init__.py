"""The reader of Neural Network Console's .nnp files: a ZIP with a network as text and its weights."""

from pytorch_grad_cam.models.nnp.load import load_nnp
from pytorch_grad_cam.models.nnp.network import NnpNetwork

__all__ = ["NnpNetwork", "load_nnp"]
