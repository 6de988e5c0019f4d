"""A step replaced on the class itself, for all objects there are."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = GradCAM(net, [net.act])
    targets = [ClassifierOutputTarget(1), ClassifierOutputTarget(0)]
    before = BaseCAM.get_target_width_height
    BaseCAM.get_target_width_height = lambda self, tensor: (tensor.shape[-1] // 2, tensor.shape[-2] // 2)
    half = cam(x, targets)
    BaseCAM.get_target_width_height = before
    return {"half": half, "whole": cam(x, targets)}
