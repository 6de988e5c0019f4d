"""Weights from passes of the user's own inside the step, on the method's network and device."""

from typing import Any

import numpy as np
import torch

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from wild.networks import Small, images, seeded


class Masked(BaseCAM):
    def __init__(self, model: Any, target_layers: Any, reshape_transform: Any = None) -> None:
        super().__init__(model, target_layers, reshape_transform=reshape_transform, uses_gradients=False)

    def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        with torch.no_grad():
            masks = torch.nn.functional.interpolate(
                torch.from_numpy(activations).to(self.device), input_tensor.shape[2:]
            )
            masks = masks / masks.amax((2, 3), keepdim=True).clamp_min(1e-6)
            rows = []
            for image, target, mask in zip(input_tensor, targets, masks, strict=True):
                rows.append([float(target(self.model((image * one)[None])[0])) for one in mask])
        return np.float32(rows)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = Masked(net, [net.act])
    return {"map": cam(x, [ClassifierOutputSoftmaxTarget(0), ClassifierOutputSoftmaxTarget(3)])}
