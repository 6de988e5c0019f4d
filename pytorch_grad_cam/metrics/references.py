"""Maps that know no network: whoever does not beat them has shown nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def random_maps(inputs: Tensor, seed: int = 0) -> Tensor:
    """Return uniform noise in [0, 1): ``(B, *S)``, of each image another, which the seed fixes."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(inputs), *inputs.shape[2:])
    return torch.rand(shape, generator=generator, device="cpu").to(inputs.device)


def uniform_maps(inputs: Tensor, seed: int = 0) -> Tensor:
    """Return ones: a map that marks everything, ``(B, *S)``."""
    return torch.ones(len(inputs), *inputs.shape[2:], device=inputs.device)


def centred_maps(inputs: Tensor, seed: int = 0) -> Tensor:
    """Return a Gaussian about the middle with a quarter of each side as its width: ``(B, *S)``."""
    total = torch.zeros(inputs.shape[2:], dtype=torch.float64, device="cpu")
    for axis, length in enumerate(inputs.shape[2:]):
        away = (torch.arange(length, dtype=torch.float64, device="cpu") - (length - 1) / 2) / (length / 4)
        total = total + (away**2).reshape([-1 if other == axis else 1 for other in range(total.ndim)])
    return torch.exp(-total / 2).float().to(inputs.device).expand(len(inputs), *total.shape)


def edge_maps(inputs: Tensor, seed: int = 0) -> Tensor:
    """Return how strong the edges are: Sobel's gradient of the mean over the channels, its length, ``(B, *S)``."""
    gray = inputs.float().mean(1, keepdim=True)
    square = torch.zeros_like(gray)
    for along in range(2, gray.ndim):
        gradient = gray
        for axis in range(2, gray.ndim):
            weights = (-1.0, 0.0, 1.0) if axis == along else (1.0, 2.0, 1.0)
            gradient = _filtered(gradient, weights, axis)
        square = square + gradient**2
    return square.sqrt()[:, 0]


def _filtered(values: Tensor, weights: tuple[float, float, float], axis: int) -> Tensor:
    """Weigh each position and its two neighbours along an axis; at the border it is its own neighbour."""
    length = values.shape[axis]
    places = torch.arange(length, device=values.device)
    before, after = (places - 1).clamp_min(0), (places + 1).clamp_max(length - 1)
    first, middle, last = weights
    return first * values.index_select(axis, before) + middle * values + last * values.index_select(axis, after)


REFERENCES: dict[str, Callable[..., Tensor]] = {
    "random": random_maps,
    "uniform": uniform_maps,
    "centre": centred_maps,
    "edges": edge_maps,
}
