"""From pictures to a network's inputs, in one go for those that the network sees as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.data.preprocessing import Preprocessing

Picture = NDArray[np.uint8]
_SIZES = 64  # that are remembered


class Inputs:
    """Prepares pictures in two steps: what needs resizing alone, in any thread, and the rest of a batch at once.

    Args:
        preprocessing: of the network.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._kept: dict[tuple[int, ...], bool] = {}  # by size, whether the picture stays as it is

    def alone(self, picture: Picture) -> Tensor | None:
        """Return the network's input ``(C, h, w)``; None if the picture ``(H, W, 3)`` is neither resized nor cut.

        Raises:
            ValueError: as `Preprocessing` does.
        """
        size = picture.shape[:2]
        if size not in self._kept and len(self._kept) < _SIZES:
            self._kept[size] = self._keeps(size[0], size[1])
        return None if self._kept.get(size) else self._preprocessing(picture)

    def together(self, pictures: Sequence[Picture], alone: Sequence[Tensor | None]) -> Tensor:
        """Return the inputs ``(B, C, h, w)`` of pictures for which `alone` returned this."""
        rest = [picture for picture, made in zip(pictures, alone, strict=True) if made is None]
        if not rest:
            return torch.stack([made for made in alone if made is not None])
        # One call for all, on top of each other: of small pictures, the calls would take most of the time.
        tall = replace(self._preprocessing, resize=None, crop=None)(np.concatenate(rest))  # (C, n * h, w)
        split = iter(tall.split(rest[0].shape[0], dim=1))  # type: ignore[no-untyped-call]
        return torch.stack([next(split) if made is None else made for made in alone])

    def _keeps(self, height: int, width: int) -> bool:
        probe = np.arange(height * width, dtype=np.float32).reshape(height, width)
        if not np.array_equal(self._preprocessing.to_picture(probe, (height, width)), probe):
            return False
        return self._preprocessing(np.zeros((height, width, 3), np.uint8)).shape[1:] == (height, width)
