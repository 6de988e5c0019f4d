"""A stage given without a list around it."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import images, resnet

DIFFERENCES = {"map": 10}


def main() -> dict[str, Any]:
    net, x = resnet(), images(1, (64, 64))
    return {"map": GradCAM(model=net, target_layers=net.layer4)(x, [ClassifierOutputTarget(1)])}
