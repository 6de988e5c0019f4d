"""The weights of a shipped method replaced on its class."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def signs(self: Any, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
    return np.sign(np.mean(grads, axis=(2, 3)))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    before = GradCAM.get_cam_weights
    GradCAM.get_cam_weights = signs
    try:
        return {"map": GradCAM(net, [net.act])(x, [ClassifierOutputTarget(1), ClassifierOutputTarget(0)])}
    finally:
        GradCAM.get_cam_weights = before
