"""Transforms from what a layer returns to ``(B, C, *S)``, for layers that return something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def vit_reshape_transform(tensor: Tensor, height: int = 14, width: int = 14) -> Tensor:
    """Lay a vision transformer's tokens out as a grid.

    Args:
        tensor: ``(B, 1 + height * width, C)``: one class token, then the patches row by row.
        height: rows of patches.
        width: patches in a row.

    Returns:
        ``(B, C, height, width)`` without the class token.

    Raises:
        ValueError: if the number of tokens is another.
    """
    return _grid(tensor, 1, height, width)


def swinT_reshape_transform(tensor: Tensor, height: int = 7, width: int = 7) -> Tensor:  # noqa: N802
    """Lay tokens ``(B, height * width, C)`` without a class token out as ``(B, C, height, width)``."""
    return _grid(tensor, 0, height, width)


def fasterrcnn_reshape_transform(x: Mapping[str, Tensor]) -> Tensor:
    """Stack the levels of a feature pyramid, as torchvision's ``BackboneWithFPN`` returns them.

    Args:
        x: ``(B, C_l, h_l, w_l)`` per level; the coarsest is called "pool".

    Returns:
        ``(B, sum of C_l, h, w)``: magnitudes, each level resized to the coarsest.

    Raises:
        ValueError: without a level "pool".
    """
    if not isinstance(x, Mapping) or "pool" not in x:
        returned = list(x) if isinstance(x, Mapping) else type(x).__name__
        raise ValueError(
            f"the layer returns {returned}, not a dict of pyramid levels with one called 'pool'; choose model.backbone"
        )
    size = x["pool"].shape[-2:]
    return torch.cat([functional.interpolate(level.abs(), size, mode="bilinear") for level in x.values()], dim=1)


def frames_reshape_transform(output: Any, frames: int, of_frame: Callable[[Any], Tensor] | None = None) -> Tensor:
    """Unfold frames that a network put into the batch: ``(B * T, C, h, w)`` to ``(B, C, T, h, w)``.

    For networks that take a video ``(B, C, T, H, W)`` and run a 2-D network on each frame. Give it to a method as
    ``reshape_transform=functools.partial(frames_reshape_transform, frames=16)``; the maps are then ``(B, T, H, W)``.

    Args:
        output: of the target layer; the frames of a video follow each other.
        frames: ``T``. The batch may change: some methods run many versions of one video at once.
        of_frame: the reshape_transform of the 2-D network, if its layer does not return ``(B * T, C, h, w)`` itself.

    Raises:
        ValueError: if the output is of another form, or its rows are no multiple of ``frames``.
    """
    maps = output if of_frame is None else of_frame(output)
    if not isinstance(maps, Tensor) or maps.ndim != 4 or frames < 1 or len(maps) % frames:
        form = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ValueError(
            f"the layer returns {form}, not (B * {frames}, C, h, w); give the number of frames per video, and a layer "
            "that runs on the frames"
        )
    unfolded: Tensor = maps.reshape(-1, frames, *maps.shape[1:]).movedim(1, 2)
    return unfolded


def _grid(tensor: Tensor, prefix: int, height: int, width: int) -> Tensor:
    if tensor.ndim != 3 or tensor.shape[1] != prefix + height * width:
        raise ValueError(
            f"the layer returns {tuple(tensor.shape)}, not (B, {prefix} + {height} * {width}, C); give height and "
            "width of this network's patch grid, e.g. functools.partial(vit_reshape_transform, height=16, width=16)"
        )
    return tensor[:, prefix:].reshape(len(tensor), height, width, -1).movedim(-1, 1)
