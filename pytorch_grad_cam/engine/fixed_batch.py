"""Networks that take one number of images only: any other number runs in batches of it, the last filled with copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.trees import map_tensors, tensors_in


def fixed_batch(model: nn.Module) -> int | None:
    """Return the only number of images that a model's layers take, as those of an exported program; None: any."""
    size: int | None = getattr(model, "fixed_batch", None)
    return size


def for_trial(model: nn.Module, image: Tensor) -> Tensor:
    """Repeat one image ``(1, C, *S)`` as often as the model must have it."""
    return image.expand(fixed_batch(model) or 1, *image.shape[1:])


def split_rows(count: int, size: int) -> Iterator[tuple[Tensor, int]]:
    """Share ``count`` images out: yield ``size`` indices at a time, and how many of them are no copies."""
    for start in range(0, count, size):
        yield torch.arange(start, start + size).clamp(max=count - 1), min(size, count - start)


def select_rows(value: Any, rows: Tensor, batch: int, blocks: bool = False) -> Any:
    """Select some of ``batch`` images in every tensor that has a row for each, with ``blocks`` also one or more."""

    def selected(tensor: Tensor) -> Tensor:
        if not tensor.ndim or len(tensor) % batch or not (blocks or len(tensor) == batch):
            return tensor
        return tensor.reshape(batch, -1, *tensor.shape[1:])[rows.to(tensor.device)].flatten(0, 1)

    return map_tensors(value, selected)


def concatenate(values: Sequence[Any]) -> Any:
    """Join values of one structure along the first axis of their tensors; those without axes are the first's."""
    tensors = zip(*map(tensors_in, values), strict=True)
    return map_tensors(values[0], lambda tensor: torch.cat(next(tensors)) if tensor.ndim else next(tensors)[0])


def run_in_batches(run: Callable[[Tensor], Any], count: int, size: int) -> Any:
    """Run something on ``count`` images, ``size`` at a time, and join what it returns for each.

    Args:
        run: from the indices of ``size`` images to values with a row for each.
        count: number of images.
        size: images per batch.
    """
    return concatenate([select_rows(run(rows), torch.arange(wanted), size) for rows, wanted in split_rows(count, size)])
