"""Sliding windows over an image, and resizing and blur, for methods that look at an image window by window.

Shapes: ``*S`` spatial axes of the image, ``*w`` of a window.
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

Corner = tuple[int, ...]


def window_corners(size: tuple[int, ...], window: tuple[int, ...], step: int | None) -> Iterator[Corner]:
    """Yield the corners at which the windows begin that cover an image of a size, last axis fastest.

    Args:
        size: of the image; no side is shorter than the window's.
        window: its sides.
        step: how far windows are apart along every axis; None: side by side.
    """
    sides = zip(size, window, strict=True)
    yield from itertools.product(*(window_starts(length, step or side, side) for length, side in sides))


def crop(image: Tensor, corner: Corner, window: tuple[int, ...]) -> Tensor:
    """Return the part of ``(..., *S)`` under a window, as a view ``(..., *w)``."""
    place: tuple[Any, ...] = tuple(slice(start, start + side) for start, side in zip(corner, window, strict=True))
    return image[(..., *place)]


def window_starts(length: int, step_size: int, window_size: int) -> list[int]:
    """Return where windows begin that cover an axis of ``length``; the last one is moved back inside."""
    last = max(length - window_size, 0)
    return [*range(0, last, step_size), last]


def size_with_shorter_side(size: tuple[int, ...], shorter: int) -> tuple[int, ...]:
    """Return the size whose shorter side has the given length, with the same aspect."""
    return tuple(shorter if side == min(size) else int(shorter * side / min(size)) for side in size)


def resize_antialiased(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize ``(1, C, *S)`` linearly; an image that shrinks is smoothed first, where torch can do that (2-D)."""
    if tuple(image.shape[2:]) == size:
        return image
    axes = len(size)
    # Half precision cannot be smoothed on every device.
    resized = functional.interpolate(
        maps.working_precision(image), size=size, mode=maps.LINEAR[axes], align_corners=False, antialias=axes == 2
    )
    return resized.to(image.dtype)


def gaussian_blur(values: Tensor, width: float, radius: int) -> Tensor:
    """Smooth a map ``(*S)`` by a Gaussian along every axis, mirrored at its ends.

    Its standard deviation ``width`` and the ``radius`` that it reaches are in pixels.
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
