"""Passes over noisy copies averaged by a subclass, around the method's own pass."""

from typing import Any

import numpy as np
import torch

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Noisy(GradCAM):
    def forward(self, input_tensor: Any, targets: Any, eigen_smooth: bool = False) -> Any:
        chance = np.random.RandomState(0)
        maps = []
        for _ in range(3):
            noise = torch.from_numpy(chance.normal(0, 0.3, tuple(input_tensor.shape))).float()
            maps.append(super().forward(input_tensor + noise, targets, eigen_smooth))
        return np.mean(maps, axis=0)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    return {"map": Noisy(net, [net.act])(input_tensor=x, targets=[ClassifierOutputTarget(3)] * 2)}
