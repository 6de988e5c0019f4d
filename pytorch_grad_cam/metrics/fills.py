"""What stands where a position is taken away: by name, for every metric that takes positions away."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BLUR_SIZE, BLUR_SIGMA = 11, 5.0  # of the authors of RISE, arXiv:1806.07421


def zeros(inputs: Tensor) -> Tensor:
    """Return 0 everywhere: after the usual normalisation the mean colour of the training set."""
    return torch.zeros_like(inputs)


def mean_colour(inputs: Tensor) -> Tensor:
    """Return each image's own mean of every channel."""
    return inputs.mean(dim=tuple(range(2, inputs.ndim)), keepdim=True).expand_as(inputs)


def blurred(inputs: Tensor) -> Tensor:
    """Return the images ``(B, C, *S)`` behind a Gaussian of 11 positions and sigma 5 along each axis, 0 outside."""
    steps = torch.arange(BLUR_SIZE, dtype=torch.float64, device="cpu") - BLUR_SIZE // 2
    line = torch.exp(-(steps**2) / (2 * BLUR_SIGMA**2))
    line = (line / line.sum()).to(inputs)
    result = inputs
    for axis in range(2, inputs.ndim):
        rows = result.movedim(axis, -1)
        smooth = F.conv1d(rows.reshape(-1, 1, rows.shape[-1]), line[None, None], padding=BLUR_SIZE // 2)
        result = smooth.reshape(rows.shape).movedim(-1, axis)
    return result


FILLS = {"zero": zeros, "mean": mean_colour, "blur": blurred}


def fill_of(name: str, inputs: Tensor) -> Tensor:
    """Return what a fill puts in the place of these images.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in FILLS:
        raise ValueError(f"the fill {name!r} is unknown; choose one of {', '.join(map(repr, FILLS))}")
    return FILLS[name](inputs)
