"""Pictures that are ready for a network: one by one, and put together to batches, both in any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.runs.inputs import BatchPreprocessing


@dataclass(frozen=True)
class PreparedPicture:
    """A picture, and what the network takes of it: made in any thread, before its batch comes.

    Attributes:
        image: uint8 RGB ``(H, W, 3)``.
        inputs: ``(C, h, w)``; None if the network takes the picture as it is.
        category: the class to explain of this one; None: what is asked of all.
        batch: ``(B, C, h, w)`` of which ``inputs`` is a row, if it was put together with others.
        row: which.
    """

    image: NDArray[np.uint8]
    inputs: Tensor | None
    category: int | None = None
    batch: Tensor | None = None
    row: int = 0

    @property
    def input_size(self) -> tuple[int, ...]:
        """Height and width of what the network takes."""
        return tuple(self.image.shape[:2] if self.inputs is None else self.inputs.shape[1:])


def gathered(
    pictures: Sequence[PreparedPicture], preprocessing: BatchPreprocessing, device: torch.device
) -> list[PreparedPicture]:
    """Put pictures that are explained together into a batch for each size, so that `batch_of` has nothing to do."""
    found: list[PreparedPicture] = []
    for _, group in groupby(pictures, lambda one: one.input_size):
        alike = list(group)
        batch = batch_of(alike, preprocessing, device)
        found += [replace(one, inputs=batch[row], batch=batch, row=row) for row, one in enumerate(alike)]
    return found


def batch_of(pictures: Sequence[PreparedPicture], preprocessing: BatchPreprocessing, device: torch.device) -> Tensor:
    """Return the inputs ``(B, C, h, w)`` of pictures of one size, on the CPU, where the device copies them from."""
    batch, row = pictures[0].batch, pictures[0].row
    if batch is not None and all(one.batch is batch and one.row == row + n for n, one in enumerate(pictures)):
        return batch[row : row + len(pictures)]
    batch = preprocessing.batch([one.image for one in pictures], [one.inputs for one in pictures])
    return batch.pin_memory() if device.type == "cuda" else batch  # from other memory a copy is slower, and waited for
