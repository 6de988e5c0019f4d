"""Weights that depend on which layer is asked about."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Graded(GradCAM):
    def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        depth = self.target_layers.index(target_layer)
        mean = np.mean(grads, axis=(2, 3))
        return mean if depth else np.sign(mean) * np.sqrt(np.abs(mean))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    return {"map": Graded(net, [net.block, net.act])(x, [ClassifierOutputTarget(1)] * 2)}
