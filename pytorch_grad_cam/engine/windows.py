"""Windows of a picture at a scale, and a blur: for methods that look at a picture piece by piece.

Shapes: ``*S`` spatial axes of the picture, ``*w`` of a window.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pytorch_grad_cam.engine import maps

Start = tuple[int, ...]


def windows_of(size: tuple[int, ...], window: tuple[int, ...], step: int | None) -> Iterator[Start]:
    """Yield where the windows begin that cover a picture of a size, last axis fastest.

    Args:
        size: of the picture; no side is shorter than the window's.
        window: its sides.
        step: how far windows are apart along every axis; None: side by side.
    """
    sides = zip(size, window, strict=True)
    yield from itertools.product(*(window_starts(length, step or side, side) for length, side in sides))


def cut(image: Tensor, start: Start, window: tuple[int, ...]) -> Tensor:
    """Return the part of ``(..., *S)`` under a window, as a view ``(..., *w)``."""
    place: tuple[Any, ...] = tuple(slice(a, a + side) for a, side in zip(start, window, strict=True))
    return image[(..., *place)]


def window_starts(length: int, step_size: int, window_size: int) -> list[int]:
    """Return where windows begin that cover an axis of ``length``; the last one is moved back inside."""
    last = max(length - window_size, 0)
    return [*range(0, last, step_size), last]


def scaled_size(size: tuple[int, ...], shorter: int) -> tuple[int, ...]:
    """Return the size whose shorter side has the given length, with the same aspect."""
    return tuple(shorter if side == min(size) else int(shorter * side / min(size)) for side in size)


def resized(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize ``(1, C, *S)`` linearly; a picture that shrinks is smoothed first, where torch can do that (2-D)."""
    if tuple(image.shape[2:]) == size:
        return image
    axes = len(size)
    # Half precision cannot be smoothed on every device.
    found = functional.interpolate(
        maps.working_precision(image), size=size, mode=maps.LINEAR[axes], align_corners=False, antialias=axes == 2
    )
    return found.to(image.dtype)


def blurred(values: Tensor, width: float, radius: int) -> Tensor:
    """Smooth a map ``(*S)`` by a Gaussian along every axis, mirrored at its ends.

    Args:
        values: the map.
        width: standard deviation, in pixels.
        radius: how far the Gaussian reaches, in pixels.
    """
    steps = torch.arange(-radius, radius + 1, device=values.device)
    kernel = [math.exp(-(step**2) / (2 * width**2)) for step in range(-radius, radius + 1)]
    weights = values.new_tensor(kernel) / sum(kernel)  # (2 * radius + 1,)
    for axis, length in enumerate(values.shape):
        # Positions beyond an end are mirrored at it, more than once where the axis is shorter than the kernel.
        places = torch.arange(length, device=values.device)[:, None] + steps  # (length, 2 * radius + 1)
        period = max(2 * (length - 1), 1)
        places = (length - 1) - ((places % period) - (length - 1)).abs()
        gathered = values.movedim(axis, -1)[..., places]  # (..., length, 2 * radius + 1)
        values = (gathered * weights).sum(-1).movedim(-1, axis)
    return values
