"""A long batch cut into pieces by a subclass."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Chunked(GradCAM):
    chunk = 2

    def forward(self, input_tensor: Any, targets: Any, eigen_smooth: bool = False) -> Any:
        maps = []
        for start in range(0, len(input_tensor), self.chunk):
            part = slice(start, start + self.chunk)
            maps.append(super().forward(input_tensor[part], targets[part], eigen_smooth))
        return np.concatenate(maps)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(5)
    return {"map": Chunked(net, [net.act])(x, [ClassifierOutputTarget(one) for one in range(5)])}
