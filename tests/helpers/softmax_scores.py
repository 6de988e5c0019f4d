"""A small network whose probabilities are neither 0 nor 1, and what tests of metrics compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from helpers.tiny_nets import ConvNet


class Softened(ConvNet):
    """Small logits, so that no probability is near 0 or 1."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 10


def maps_for(x: Tensor, seed: int = 0) -> Tensor:
    """Return random maps in [0, 1) without equal values, as large as the images."""
    return torch.rand(len(x), *x.shape[2:], generator=torch.Generator().manual_seed(seed))


def probability(net: Any, image: Any, category: int) -> float:
    """Return a class's softmax probability, in float64."""
    with torch.no_grad():
        logits = net(torch.as_tensor(np.asarray(image), dtype=torch.float32)[None])[0].double().numpy()
    exponents = np.exp(logits - logits.max())
    return float(exponents[category] / exponents.sum())
