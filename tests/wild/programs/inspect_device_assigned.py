"""The device set by hand, as code does that moves its network after building the method."""

from typing import Any

import torch

from pytorch_grad_cam import GradCAMPlusPlus, ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    found: dict[str, Any] = {}
    for name, method in (("plus plus", GradCAMPlusPlus), ("score", ScoreCAM)):
        cam = method(model=net, target_layers=[net.act])
        cam.device = torch.device("cpu")
        found[name] = cam(x, [ClassifierOutputTarget(2)])
        found[f"{name}: device"] = str(cam.device)
    return found
