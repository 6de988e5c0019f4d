"""The gradient of the input, asked for in the constructor and read in a step."""

from typing import Any

import numpy as np

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class TimesInput(BaseCAM):
    def __init__(self, model: Any, target_layers: Any, reshape_transform: Any = None) -> None:
        super().__init__(model, target_layers, reshape_transform, compute_input_gradient=True)

    def compute_cam_per_layer(self, input_tensor: Any, targets: Any, eigen_smooth: Any) -> Any:
        grad = input_tensor.grad.data.cpu().numpy()
        return [np.abs(grad * input_tensor.data.cpu().numpy()).sum(axis=1, keepdims=True)]


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    found = TimesInput(net, [net.act])(x, [ClassifierOutputTarget(3), ClassifierOutputTarget(1)])
    return {"map": found, "caller's": x.grad is None}
