"""A subclass with state of its own over many calls, used in a with block."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Remembers(GradCAM):
    def __init__(self, model: Any, target_layers: Any) -> None:
        self.history: list[Any] = []
        super().__init__(model, target_layers)

    def aggregate_multi_layers(self, cam_per_target_layer: Any) -> Any:
        found = super().aggregate_multi_layers(cam_per_target_layer)
        self.history.append(found)
        return found


def main() -> dict[str, Any]:
    net = seeded(Small())
    with Remembers(net, [net.block, net.act]) as cam:
        for seed in range(3):
            cam(images(1, seed=seed), [ClassifierOutputTarget(seed)])
    return {"maps": np.concatenate(cam.history), "calls": len(cam.history)}
