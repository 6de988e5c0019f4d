"""Clips (B, T, 3, H, W) with a layer for pictures: maps for each picture of the clip."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Clips, images, seeded


class ForClips(GradCAM):
    def get_target_width_height(self, input_tensor: Any) -> Any:
        return input_tensor.shape[-1], input_tensor.shape[-2]


def main() -> dict[str, Any]:
    net = seeded(Clips())
    x = images(6, (24, 32)).reshape(2, 3, 3, 24, 32)
    cam = ForClips(model=net, target_layers=[net.frames.act])
    return {"map": cam(input_tensor=x, targets=[ClassifierOutputTarget(1), ClassifierOutputTarget(4)])}
