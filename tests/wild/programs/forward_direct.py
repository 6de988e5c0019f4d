"""The pass called by its own name, without the object's call."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded

DIFFERENCES = {"smooth": 3}


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = GradCAM(net, [net.act])
    targets = [ClassifierOutputTarget(3), ClassifierOutputTarget(1)]
    return {"map": cam.forward(x, targets), "smooth": cam.forward(x, targets, True), "top": cam.forward(x, None, False)}
