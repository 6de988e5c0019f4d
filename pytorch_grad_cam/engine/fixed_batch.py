"""Networks that take one number of images only: any other number runs in batches of it, the last filled with copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.inputs import fixed_batch
from pytorch_grad_cam.engine.trees import concatenate, select_rows


def for_trial(model: nn.Module, image: Tensor) -> Tensor:
    """Repeat one image ``(1, C, *S)`` as often as the model must have it."""
    return image.expand(fixed_batch(model) or 1, *image.shape[1:])


def split_rows(count: int, size: int) -> Iterator[tuple[Tensor, int]]:
    """Share ``count`` images out: yield ``size`` indices at a time, and how many of them are no copies."""
    for start in range(0, count, size):
        yield torch.arange(start, start + size).clamp(max=count - 1), min(size, count - start)


def run_in_batches(run: Callable[[Tensor], Any], count: int, size: int) -> Any:
    """Run something on ``count`` images, ``size`` at a time, and join what it returns for each.

    Args:
        run: from the indices of ``size`` images to values with a row for each.
        count: number of images.
        size: images per batch.
    """
    return concatenate([select_rows(run(rows), torch.arange(wanted), size) for rows, wanted in split_rows(count, size)])
