"""A method of ours in Captum: smoothed by its NoiseTunnel, judged by its metrics."""

import torch
from captum.attr import NoiseTunnel
from captum.metrics import sensitivity_max

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.integrations.captum import CAMAttribution


def explain(model: torch.nn.Module, images: torch.Tensor, target: int) -> tuple[torch.Tensor, torch.Tensor]:
    attribution = CAMAttribution(GradCAM(model))
    smooth = NoiseTunnel(attribution).attribute(images, target=target, nt_samples=4, stdevs=0.1)
    return smooth, sensitivity_max(attribution.attribute, images, target=target)
