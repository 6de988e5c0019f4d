"""One number is all a network answers."""

from typing import Any

from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.utils.model_targets import BinaryClassifierOutputTarget, RawScoresOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small(classes=1)), images(1)
    return {
        "raw": GradCAM(net, [net.act])(x, [RawScoresOutputTarget()]),
        "no": HiResCAM(net, [net.act])(x, [BinaryClassifierOutputTarget(0)]),
        "yes": HiResCAM(net, [net.act])(x, [BinaryClassifierOutputTarget(1)]),
    }
