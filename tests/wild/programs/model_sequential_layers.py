"""A stage given as the list of its blocks by itself: the stage is walked through, block by block."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import images, resnet


def main() -> dict[str, Any]:
    net, x = resnet(), images(1, (64, 64))
    return {
        "list": GradCAM(net, [*net.layer4])(x, [ClassifierOutputTarget(1)]),
        "whole": GradCAM(net, [net.layer4])(x, [ClassifierOutputTarget(1)]),
    }
