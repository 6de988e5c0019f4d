"""Turn pictures of every kind, RGB, gray or many bands, from PIL, NumPy or PyTorch, into arrays and tensors and back.

For a network with its own preprocessing see `data.preprocessing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.engine.arrays import to_numpy

_COLOURS = (1, 3)  # channels of gray and of RGB pictures
_HALF = [0.5, 0.5, 0.5]


def picture_array(img: Any) -> NDArray[Any]:
    """Turn a picture into an array with channels last: ``(H, W)`` or ``(H, W, C)``.

    Args:
        img: an array; a PIL image (gray stays gray, everything else becomes RGB); or a tensor ``(C, H, W)``, also
            ``(1, C, H, W)``. A tensor whose last axis is 1 or 3, and whose first is not, has channels last already.
    """
    if isinstance(img, (str, Path)):
        raise TypeError(f"img is a path, {str(img)!r}; give the picture: pytorch_grad_cam.data.images.read_image(path)")
    if hasattr(img, "getexif"):
        return np.asarray(img) if img.mode == "L" else read_image(img)
    array = to_numpy(img)
    if not isinstance(img, Tensor):
        return array
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    first = array.ndim == 3 and (array.shape[0] in _COLOURS or array.shape[-1] not in _COLOURS)
    return np.moveaxis(array, 0, -1) if first else array


def unit_picture(img: Any) -> NDArray[np.float32]:
    """Return a picture as float32 ``(H, W, 3)`` in [0, 1]; of more than four bands the mean is shown, in gray.

    Raises:
        ValueError: for another shape, or values that are neither uint8, uint16 nor floats in [0, 1].
    """
    array = picture_array(img)
    shape = array.shape
    if array.ndim == 3 and shape[0] in _COLOURS and shape[2] > 4 and not isinstance(img, Tensor):
        raise ValueError(f"img has the shape {shape}, channels first; give img.transpose(1, 2, 0)")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] in (0, 2, 4) or 0 in shape:
        hint = "; read_image lays RGBA on white, bands_as_rgb shows bands of your choice" if 4 in shape[2:] else ""
        raise ValueError(
            f"img must have shape (H, W, 3), (H, W, 1), (H, W) or more than 4 bands, not {np.shape(img)}{hint}"
        )
    picture = array.astype(np.float32) / highest_value(array)
    if not (picture.min() >= 0 and picture.max() <= 1 + 1e-5):
        raise ValueError(
            f"img must be uint8, or floats in the range [0, 1], not {array.dtype} {array.min():g}..{array.max():g}; "
            "divide by 255, or undo the network's normalisation"
        )
    if picture.shape[2] not in _COLOURS:
        picture = picture.mean(2, keepdims=True)
    return np.broadcast_to(np.minimum(picture, 1), (*array.shape[:2], 3))


def highest_value(array: NDArray[Any]) -> int:
    """Return what stands for full brightness: 255 for uint8, 65535 for uint16, 1 for anything else."""
    return {"uint8": 255, "uint16": 65535}.get(array.dtype.name, 1)


def bands_as_rgb(img: Any, bands: Sequence[int] = (0, 1, 2), percentiles: tuple[float, float] = (2, 98)) -> Any:
    """Make three bands of a picture visible, whatever their range: each is stretched between two percentiles.

    Args:
        img: ``(H, W, C)`` of any number type, or a tensor ``(C, H, W)``.
        bands: which bands are shown as red, green and blue.
        percentiles: become black and white, band by band; NaN counts as black.

    Returns:
        uint8 ``(H, W, 3)``.

    Raises:
        ValueError: if there are no such bands.
    """
    array = picture_array(img)
    if array.ndim != 3 or len(bands) != 3 or not all(-array.shape[2] <= band < array.shape[2] for band in bands):
        raise ValueError(
            f"a picture of shape {array.shape} has no three bands {tuple(bands)}; give (H, W, C), and indices"
        )
    chosen = array[:, :, list(bands)].astype(np.float64)
    low, high = np.nanpercentile(chosen, percentiles, axis=(0, 1))
    spread = np.where(high > low, high - low, 1)
    return np.round(255 * np.nan_to_num(np.clip((chosen - low) / spread, 0, 1))).astype(np.uint8)


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
