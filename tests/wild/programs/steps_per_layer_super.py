"""The maps of the layers changed before they are averaged."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import images, resnet


class Sharpened(GradCAM):
    def compute_cam_per_layer(self, input_tensor: Any, targets: Any, eigen_smooth: Any) -> Any:
        self.seen = super().compute_cam_per_layer(input_tensor, targets, eigen_smooth)
        return [np.power(each, 3) for each in self.seen]


def main() -> dict[str, Any]:
    net, x = resnet(), images(2, (64, 64))
    cam = Sharpened(net, [net.layer3[-1], net.layer4[-1]])
    found = cam(x, [ClassifierOutputTarget(1), ClassifierOutputTarget(7)])
    return {"map": found, "shapes": [list(each.shape) for each in cam.seen], "first": cam.seen[0]}
