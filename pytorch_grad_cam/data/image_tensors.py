"""Turn a picture into a network's input by a mean and a standard deviation, and make gradients visible.

For a network with its own preprocessing see `data.preprocessing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.data.pixels import highest_value, picture_array
from pytorch_grad_cam.engine.arrays import to_numpy

_HALF = [0.5, 0.5, 0.5]


def preprocess_image(img: Any, mean: Sequence[float] = _HALF, std: Sequence[float] = _HALF) -> Tensor:
    """Turn a picture into a network's input: (img - mean) / std, per channel.

    Args:
        img: ``(H, W, C)`` or ``(H, W)`` with any number of bands: uint8, uint16, or floats in [0, 1]. Also a PIL image,
            or a tensor ``(C, H, W)``.
        mean: one number per channel, for values in [0, 1].
        std: likewise, positive.

    Returns:
        float32 ``(1, C, H, W)``.

    Raises:
        ValueError: if the numbers do not match the channels.
    """
    array = picture_array(img)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not array.shape[2] == len(mean) == len(std):
        raise ValueError(
            f"a picture of shape {array.shape} does not go with {len(mean)} means and {len(std)} stds; "
            "give (H, W, C) and C of each"
        )
    pixels = torch.from_numpy(np.array(array, dtype=np.float32)).permute(2, 0, 1)[None]  # (1, C, H, W)
    pixels = pixels / highest_value(array)
    shift, spread = (torch.tensor(list(numbers))[:, None, None] for numbers in (mean, std))
    return ((pixels - shift) / spread).contiguous()


def deprocess_image(img: Any) -> NDArray[np.uint8]:
    """Make gradients, or values of any range, visible: the mean is middle gray, a standard deviation a tenth of white.

    Args:
        img: of any shape.

    Returns:
        uint8 of the same shape; all middle gray where ``img`` is constant.
    """
    values = to_numpy(img).astype(np.float64)
    spread = values.std()
    standard = (values - values.mean()) / (spread if spread > 0 else 1)
    result: NDArray[np.uint8] = (255 * np.clip(0.5 + 0.1 * standard, 0, 1)).astype(np.uint8)
    return result
