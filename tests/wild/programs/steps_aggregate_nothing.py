"""All layers' maps returned side by side."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Stacked(GradCAM):
    def aggregate_multi_layers(self, cam_per_target_layer: Any) -> Any:
        return np.concatenate(cam_per_target_layer, axis=1)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = Stacked(net, [net.block, net.conv3, net.act])
    return {"maps": cam(x, [ClassifierOutputTarget(3), ClassifierOutputTarget(1)])}
