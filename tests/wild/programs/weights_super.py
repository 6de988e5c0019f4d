"""Weights of Grad-CAM changed a little: only what speaks for the class counts."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Positive(GradCAM):
    def get_cam_weights(self, *args: Any, **kwargs: Any) -> Any:
        weights = super().get_cam_weights(*args, **kwargs)
        return np.maximum(weights, 0)


class Softened(XGradCAM):
    def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        weights = super().get_cam_weights(input_tensor, target_layer, targets, activations, grads)
        return weights / (1 + np.abs(weights))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    targets = [ClassifierOutputTarget(0), ClassifierOutputTarget(2)]
    return {
        "positive": Positive(net, [net.act])(input_tensor=x, targets=targets),
        "softened": Softened(net, [net.act])(input_tensor=x, targets=targets),
    }
