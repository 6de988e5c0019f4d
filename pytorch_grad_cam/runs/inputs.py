"""From images to a network's inputs: prepared in threads, in one go for those that the network sees as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.inputs import for_trial, input_axes, input_channels
from pytorch_grad_cam.models.loaded import LoadedModel

USUAL_SIDE = 224  # pixels of the image that the network is tried with, where it does not say its size
_USUAL_SIDES = {1: 256, 2: USUAL_SIDE, 3: 48}  # of signals, pictures and volumes, by the number of their axes
_SIZES = 64  # that are remembered


class BatchPreprocessing:
    """Prepares images in two steps: those to be resized one by one, in any thread, and the rest of a batch at once."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        self._kept: dict[tuple[int, ...], bool] = {}  # by size, whether the image stays as it is

    def resized(self, image: NDArray[np.uint8]) -> Tensor | None:
        """Return the network's input ``(C, h, w)``; None if the image ``(H, W, 3)`` is neither resized nor cut.

        Raises:
            ValueError: as `Preprocessing` does.
        """
        size = image.shape[:2]
        if size not in self._kept and len(self._kept) < _SIZES:
            self._kept[size] = self._keeps(size[0], size[1])
        return None if self._kept.get(size) else self._preprocessing(image)

    def batch(self, images: Sequence[NDArray[np.uint8]], resized: Sequence[Tensor | None]) -> Tensor:
        """Return the inputs ``(B, C, h, w)`` of images for which the method `resized` returned the other argument."""
        rest = [image for image, prepared in zip(images, resized, strict=True) if prepared is None]
        if not rest:
            return torch.stack([prepared for prepared in resized if prepared is not None])
        # One call for all, on top of each other: of small images, the calls would take most of the time.
        tall = replace(self._preprocessing, resize=None, crop=None, pad=None)(np.concatenate(rest))  # (C, n * h, w)
        split = iter(tall.split(rest[0].shape[0], dim=1))  # type: ignore[no-untyped-call]
        return torch.stack([next(split) if prepared is None else prepared for prepared in resized])

    def _keeps(self, height: int, width: int) -> bool:
        probe = np.arange(height * width, dtype=np.float32).reshape(height, width)
        if not np.array_equal(self._preprocessing.to_picture(probe, (height, width)), probe):
            return False
        return self._preprocessing(np.zeros((height, width, 3), np.uint8)).shape[1:] == (height, width)


def trial_of_shape(loaded: LoadedModel, device: torch.device, shape: Sequence[int] | None = None) -> Tensor:
    """Return what a network that takes no pictures is tried with: noise, as often as it must be ``(B, C, *S)``.

    Args:
        shape: of one input ``(C, *S)``; None: the channels and axes of the first convolution, at a usual size.
    """
    if shape is None:
        axes = input_axes(loaded.model) or 2
        shape = (input_channels(loaded.model) or 3, *[_USUAL_SIDES[axes]] * axes)
    noise = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0))
    return for_trial(loaded.model, noise.to(device))


def takes_pictures(loaded: LoadedModel) -> bool:
    """Say whether the first convolution takes what the preprocessing makes of a picture, as far as it can be told."""
    channels = input_channels(loaded.model)
    return input_axes(loaded.model) in (None, 2) and channels in (None, 1, 3, len(loaded.preprocessing.mean))


def trial_input(loaded: LoadedModel, device: torch.device, image: NDArray[np.uint8] | None = None) -> Tensor:
    """Return what a network is tried with: an image, gray without one, as often as it must be ``(B, C, h, w)``."""
    if image is None:
        seen = loaded.preprocessing.crop or loaded.preprocessing.resize or USUAL_SIDE
        image = np.full((*((seen, seen) if isinstance(seen, int) else seen), 3), 128, dtype=np.uint8)
    return for_trial(loaded.model, loaded.preprocessing(image)[None].to(device))
