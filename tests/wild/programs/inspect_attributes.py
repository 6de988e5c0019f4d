"""Attributes of a method that wrappers read."""

from typing import Any

import torch

from pytorch_grad_cam import EigenCAM, GradCAM, ScoreCAM
from pytorch_grad_cam.base_cam import BaseCAM
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net = seeded(Small())
    cam = GradCAM(model=net, target_layers=[net.block, net.act])
    return {
        "model": cam.model is net,
        "layers": [layer is each for layer, each in zip(cam.target_layers, (net.block, net.act), strict=True)],
        "device": str(cam.device),
        "flags": [cam.uses_gradients, cam.compute_input_gradient, cam.detach, cam.reshape_transform is None],
        "gradient free": [ScoreCAM(net, [net.act]).uses_gradients, EigenCAM(net, [net.act]).uses_gradients],
        "family": [issubclass(GradCAM, BaseCAM), isinstance(cam, BaseCAM)],
        "size": list(cam.get_target_width_height(images(1))),
        "deep": list(cam.get_target_width_height(torch.zeros(1, 1, 4, 5, 6))),
        "views": len(list(cam.tta_transforms)),
        "record": [hasattr(cam.activations_and_grads, name) for name in ("release", "clear", "handles", "model")],
    }
