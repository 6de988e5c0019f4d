"""A method without gradients: channels weighted by their energy."""

from typing import Any

import numpy as np

from pytorch_grad_cam.base_cam import BaseCAM
from wild.networks import Small, images, seeded


class Energy(BaseCAM):
    def __init__(self, model: Any, target_layers: Any, reshape_transform: Any = None) -> None:
        super().__init__(model, target_layers, reshape_transform, uses_gradients=False)

    def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        assert grads is None
        return np.square(activations).mean(axis=(2, 3))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = Energy(model=net, target_layers=[net.block, net.act])
    return {"map": cam(x, None), "gradients": len(cam.activations_and_grads.gradients)}
