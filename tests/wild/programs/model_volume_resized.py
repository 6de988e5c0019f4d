"""A volume's map that must be resized."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Volumes, images, seeded

DIFFERENCES = {"map": 5}


def main() -> dict[str, Any]:
    net, x = seeded(Volumes(stride=2)), images(1, (6, 8, 10), 1)
    return {"map": GradCAM(net, [net.conv2])(x, [ClassifierOutputTarget(1)])}
