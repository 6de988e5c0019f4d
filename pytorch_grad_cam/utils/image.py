"""Pictures around a map: the overlay, and the old ways into and out of a network."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pytorch_grad_cam.engine import maps

_HALF = [0.5, 0.5, 0.5]


def show_cam_on_image(
    img: ArrayLike,
    mask: ArrayLike,
    use_rgb: bool = False,
    colormap: int = cv2.COLORMAP_JET,
    image_weight: float = 0.5,
) -> NDArray[np.uint8]:
    """Blend a map, as a heat map, with the picture it belongs to: ``image_weight`` img + (1 - ``image_weight``) heat.

    Args:
        img: ``(H, W, 3)``, ``(H, W, 1)`` or ``(H, W)``: uint8, or floats in [0, 1].
        mask: ``(h, w)`` in [0, 1]; resized to the picture. Where it is NaN the picture shows as it is.
        use_rgb: the picture is RGB, as PIL and matplotlib have it; else BGR, as OpenCV. The result is of the same kind.
        colormap: one of OpenCV's ``COLORMAP_...``.
        image_weight: 1 gives the picture alone, 0 the heat map alone.

    Returns:
        uint8 ``(H, W, 3)``. Brightness is not stretched, so pictures stay comparable.

    Raises:
        ValueError: if a shape, a range or the weight is not as described.
    """
    if not 0 <= image_weight <= 1:
        raise ValueError(f"image_weight must be in the range [0, 1], not {image_weight}")
    picture = _unit_picture(img)
    heat_at = _unit_mask(mask, picture.shape[:2])
    unseen = np.isnan(heat_at)
    levels = (255 * np.where(unseen, 0, heat_at)).astype(np.uint8)
    heat = cv2.applyColorMap(levels, colormap).astype(np.float32) / 255  # BGR
    if use_rgb:
        heat = heat[:, :, ::-1]
    blend = image_weight * picture + (1 - image_weight) * heat
    blend[unseen] = picture[unseen]
    result: NDArray[np.uint8] = np.round(255 * blend).astype(np.uint8)
    return result


def preprocess_image(img: ArrayLike, mean: Sequence[float] = _HALF, std: Sequence[float] = _HALF) -> Tensor:
    """Turn a picture into a network's input: (img - mean) / std, per channel.

    Args:
        img: ``(H, W, C)`` or ``(H, W)``: uint8, or floats in [0, 1].
        mean: one number per channel, for values in [0, 1].
        std: likewise, positive.

    Returns:
        float32 ``(1, C, H, W)``.

    Raises:
        ValueError: if the numbers do not match the channels.
    """
    array = np.asarray(img)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not array.shape[2] == len(mean) == len(std):
        raise ValueError(
            f"a picture of shape {array.shape} does not go with {len(mean)} means and {len(std)} stds; "
            "give (H, W, C) and C of each"
        )
    scale = 255 if array.dtype == np.uint8 else 1
    pixels = torch.from_numpy(np.array(array, dtype=np.float32)).permute(2, 0, 1)[None] / scale  # (1, C, H, W)
    shift, spread = (torch.tensor(list(numbers))[:, None, None] for numbers in (mean, std))
    return ((pixels - shift) / spread).contiguous()


def deprocess_image(img: ArrayLike) -> NDArray[np.uint8]:
    """Make gradients, or values of any range, visible: the mean is middle gray, a standard deviation a tenth of white.

    Args:
        img: of any shape.

    Returns:
        uint8 of the same shape; all middle gray where ``img`` is constant.
    """
    values = np.asarray(img, dtype=np.float64)
    spread = values.std()
    standard = (values - values.mean()) / (spread if spread > 0 else 1)
    result: NDArray[np.uint8] = (255 * np.clip(0.5 + 0.1 * standard, 0, 1)).astype(np.uint8)
    return result


def scale_cam_image(cam: ArrayLike, target_size: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Stretch each map of a batch to [0, 1], then resize it linearly.

    Args:
        cam: ``(B, *S)``, with one, two or three spatial axes.
        target_size: the new size in reverse order, as OpenCV writes it: (width, height), (width, height, depth); None
            keeps it.

    Returns:
        float32 ``(B, *S)``; a constant map becomes 0.
    """
    scaled = maps.unit_range(torch.from_numpy(np.array(cam, dtype=np.float64)))
    if target_size is not None:
        scaled = maps.resize(scaled, tuple(reversed(tuple(target_size))))
    result: NDArray[np.float32] = scaled.float().numpy()
    return result


def scale_accross_batch_and_channels(tensor: ArrayLike, target_size: Sequence[int]) -> NDArray[np.float32]:
    """Do to each channel of each image what `scale_cam_image` does to a map: ``(B, C, *s)`` -> ``(B, C, *S)``."""
    array = np.asarray(tensor)
    scaled = scale_cam_image(array.reshape(-1, *array.shape[2:]), target_size)
    return scaled.reshape(*array.shape[:2], *scaled.shape[1:])


def _unit_picture(img: ArrayLike) -> NDArray[np.float32]:
    """The picture as float32 ``(H, W, 3)`` in [0, 1]."""
    array = np.asarray(img)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise ValueError(f"img must have shape (H, W, 3), (H, W, 1) or (H, W), not {np.shape(img)}")
    picture = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
    if not (picture.min() >= 0 and picture.max() <= 1 + 1e-5):
        raise ValueError(
            f"img must be uint8, or floats in the range [0, 1], not {array.dtype} {array.min():g}..{array.max():g}; "
            "divide by 255, or undo the network's normalisation"
        )
    return np.broadcast_to(np.minimum(picture, 1), (*array.shape[:2], 3))


def _unit_mask(mask: ArrayLike, size: tuple[int, ...]) -> NDArray[np.float32]:
    """The mask as float32 in [0, 1], NaN kept, resized to the picture ``(H, W)``."""
    array = np.asarray(mask)
    if array.ndim != 2:
        raise ValueError(f"mask must have shape (h, w), not {array.shape}; give one map, e.g. maps[0]")
    values = array.astype(np.float32)
    if np.nanmin(values, initial=0) < -1e-5 or np.nanmax(values, initial=1) > 1 + 1e-5:
        raise ValueError(
            f"mask must be in the range [0, 1], not {np.nanmin(values):g}..{np.nanmax(values):g}; see scale_cam_image"
        )
    resized: NDArray[np.float32] = maps.resize(torch.from_numpy(values)[None], size)[0].numpy()
    return np.clip(resized, 0, 1)
