"""Weights for volumes, with the axes counted by hand."""

from typing import Any

import numpy as np

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Volumes, images, seeded


class Deep(BaseCAM):
    def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        if grads.ndim != 5:
            raise ValueError("volumes only")
        return np.mean(grads, axis=(2, 3, 4))


def main() -> dict[str, Any]:
    net, x = seeded(Volumes()), images(2, (4, 6, 5), 1)
    cam = Deep(model=net, target_layers=[net.conv2])
    return {"map": cam(input_tensor=x, targets=[ClassifierOutputTarget(2)] * 2)}
