"""Where a network of open_clip sees what a text says."""

import numpy as np
import open_clip
import torch

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.models.from_clip import PromptedClassifier


def explain(model: open_clip.CLIP, images: torch.Tensor, tokens: torch.Tensor, wanted: int) -> np.ndarray:
    texts = model.encode_text(tokens).detach()  # tokens = open_clip.get_tokenizer(NAME)(["a dog", "a cat"])
    network = PromptedClassifier(model, "encode_image", texts, model.logit_scale.exp().item(), 0.0)
    return GradCAM(network)(images, wanted)
