"""Weights replaced on one object by a function and by a method."""

import types
from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def strongest(self: Any, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
    assert self.target_layers[0] is target_layer
    return grads.max(axis=(2, 3))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    targets = [ClassifierOutputTarget(0), ClassifierOutputTarget(2)]
    one, other = GradCAM(net, [net.act]), GradCAM(net, [net.act])
    one.get_cam_weights = lambda x, layer, targets, values, grads: np.median(grads, axis=(2, 3)) + grads.mean((2, 3))
    other.get_cam_weights = types.MethodType(strongest, other)
    return {"function": one(x, targets), "method": other(x, targets), "plain": GradCAM(net, [net.act])(x, targets)}
