"""The table of all functions that can be read: nnabla's type, and what builds its module."""

from __future__ import annotations

from pytorch_grad_cam.models.nnp.activations import ACTIVATIONS
from pytorch_grad_cam.models.nnp.arithmetic import ARITHMETIC
from pytorch_grad_cam.models.nnp.arrangement import ARRANGEMENT
from pytorch_grad_cam.models.nnp.function_call import Builder
from pytorch_grad_cam.models.nnp.layers import LAYERS
from pytorch_grad_cam.models.nnp.pooling import POOLING

FUNCTIONS: dict[str, Builder] = {**LAYERS, **POOLING, **ACTIVATIONS, **ARITHMETIC, **ARRANGEMENT}
CONVOLUTIONS = ("Convolution", "DepthwiseConvolution")  # layers to look at; a deconvolution spreads, it does not find
# Left out, although nnabla would change the pictures or values at random at every pass.
SKIPPED = ("Dropout", "ImageAugmentation")
