"""A frozen network whose input takes a gradient instead."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded

CHANGES = ("requires_grad",)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    for parameter in net.parameters():
        parameter.requires_grad = False
    x.requires_grad = True
    return {"map": GradCAM(net, [net.act])(x, [ClassifierOutputTarget(1)] * 2)}
