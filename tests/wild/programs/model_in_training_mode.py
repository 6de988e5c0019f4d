"""A network that was left in training mode: the maps are those of evaluation mode."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded

CHANGES = ("flags",)
DIFFERENCES = {"training": 9}


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    net.train()
    cam = GradCAM(net, [net.act])
    return {"map": cam(x, [ClassifierOutputTarget(1)] * 2), "training": net.training}
