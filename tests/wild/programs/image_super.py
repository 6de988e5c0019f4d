"""The map of a layer changed after the method made it."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Rooted(GradCAM):
    def get_cam_image(
        self,
        input_tensor: Any,
        target_layer: Any,
        targets: Any,
        activations: Any,
        grads: Any,
        eigen_smooth: Any = False,
    ) -> Any:
        cam = super().get_cam_image(input_tensor, target_layer, targets, activations, grads, eigen_smooth)
        return np.sign(cam) * np.sqrt(np.abs(cam))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    return {"map": Rooted(net, [net.act])(x, [ClassifierOutputTarget(1), ClassifierOutputTarget(2)])}
