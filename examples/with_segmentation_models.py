"""What speaks for one class of a network of segmentation_models.pytorch, over its region."""

import numpy as np
import segmentation_models_pytorch as smp
import torch

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.segmentation_targets import SemanticSegmentationTarget


def explain(model: smp.Unet, images: torch.Tensor, category: int) -> np.ndarray:
    with torch.no_grad():
        regions = (model(images).argmax(1) == category).numpy()
    return GradCAM(model)(images, [SemanticSegmentationTarget(category, region) for region in regions])
