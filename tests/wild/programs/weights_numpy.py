"""A method of one's own in NumPy: channels weighted by the norm of their gradient."""

from typing import Any

import numpy as np

from pytorch_grad_cam.base_cam import BaseCAM
from wild.networks import Small, images, seeded


class Norms(BaseCAM):
    def __init__(self, model: Any, target_layers: Any, reshape_transform: Any = None) -> None:
        super().__init__(model, target_layers, reshape_transform)

    def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        return np.linalg.norm(grads.reshape(*grads.shape[:2], -1), axis=2) * np.sign(np.mean(grads, axis=(2, 3)))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    with Norms(net, [net.act]) as cam:
        return {"map": cam(input_tensor=x, targets=None), "smooth": cam(x, None, aug_smooth=True)}
