"""The target of the top class replaced: its probability instead of its score."""

from typing import Any

from pytorch_grad_cam import HiResCAM, base_cam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = HiResCAM(net, [net.act])
    plain = cam(x, None)
    base_cam.ClassifierOutputTarget = ClassifierOutputSoftmaxTarget
    return {"plain": plain, "odds": cam(x, None)}
