"""The strongest layer instead of the mean."""

from typing import Any

import numpy as np

from pytorch_grad_cam import LayerCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Maximum(LayerCAM):
    def aggregate_multi_layers(self, cam_per_target_layer: Any) -> Any:
        return scale_cam_image(np.max(np.concatenate(cam_per_target_layer, axis=1), axis=1))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    return {"map": Maximum(net, [net.conv3, net.act, net.block])(x, [ClassifierOutputTarget(3)] * 2)}
