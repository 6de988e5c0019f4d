"""A map that is no weighted sum: the largest product of activation and gradient."""

from typing import Any

import numpy as np

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Largest(BaseCAM):
    def get_cam_image(
        self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any, eigen_smooth: Any
    ) -> Any:
        return np.max(np.maximum(grads, 0) * activations, axis=1)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = Largest(net, [net.block, net.act])
    return {"map": cam(x, [ClassifierOutputTarget(1), ClassifierOutputTarget(2)])}
