"""The overlay: a map as a heat map over the picture it belongs to."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.arrays import to_numpy
from pytorch_grad_cam.visualization.colormaps import DIVERGING, colours_of, lowest_value

_UNSEEN = 128  # middle gray


def show_cam_on_image(
    img: Any,
    mask: Any,
    use_rgb: bool = False,
    colormap: int = cv2.COLORMAP_JET,
    image_weight: float = 0.5,
) -> NDArray[np.uint8]:
    """Blend a map, as a heat map, with the picture it belongs to: ``image_weight`` img + (1 - ``image_weight``) heat.

    Args:
        img: ``(H, W, 3)``, ``(H, W, 1)`` or ``(H, W)``: uint8, uint16, or floats in [0, 1]; of more than 4 bands the
            mean is shown in gray (`bands_as_rgb` chooses). Also a PIL image, or a tensor ``(C, H, W)``.
        mask: ``(h, w)`` in [0, 1], array or tensor; resized to the picture. Where it is NaN the picture shows as it is.
        use_rgb: the picture is RGB, as PIL and matplotlib have it; else BGR, as OpenCV. The result is of the same kind.
        colormap: one of OpenCV's ``COLORMAP_...``.
        image_weight: 1 gives the picture alone, 0 the heat map alone.

    Returns:
        uint8 ``(H, W, 3)``. Brightness is not stretched, so pictures stay comparable.

    Raises:
        ValueError: if a shape, a range or the weight is not as described.
    """
    return _blended(img, mask, use_rgb, colormap, image_weight)


def show_signed_cam_on_image(
    img: Any, mask: Any, use_rgb: bool = False, image_weight: float = 0.5
) -> NDArray[np.uint8]:
    """Blend a signed map with its picture: red speaks for the target, blue against it, white says nothing.

    Such maps come of ``relu=False``, or of ``contrast=(a, b)``: red for a, blue for b.

    Args:
        img, use_rgb, image_weight: as for `show_cam_on_image`.
        mask: ``(h, w)`` in [-1, 1], array or tensor; resized to the picture. Where it is NaN the picture shows as it
            is. Divide a map that is larger by its largest absolute value: 0 has to stay 0.

    Returns:
        uint8 ``(H, W, 3)``.

    Raises:
        ValueError: if a shape, a range or the weight is not as described.
    """
    return _blended(img, mask, use_rgb, DIVERGING, image_weight)


def heat_map(mask: Any, colormap: int = cv2.COLORMAP_JET, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Colour a map alone, without a picture.

    Args:
        mask: ``(h, w)`` in [0, 1], array or tensor; in [-1, 1] for `colours.DIVERGING`. Where it is NaN the result is
            gray.
        colormap: one of OpenCV's ``COLORMAP_...``, or `colours.DIVERGING`.
        size: height and width of the result; None keeps the map's.

    Returns:
        uint8 RGB ``(H, W, 3)``.
    """
    values = _checked_mask(mask, size or to_numpy(mask).shape, lowest_value(colormap))
    colours = colours_of(values, colormap)
    colours[np.isnan(values)] = _UNSEEN
    return colours


def _blended(img: Any, mask: Any, use_rgb: bool, colormap: int, image_weight: float) -> NDArray[np.uint8]:
    if not 0 <= image_weight <= 1:
        raise ValueError(f"image_weight must be in the range [0, 1], not {image_weight}")
    picture = unit_picture(img)
    values = _checked_mask(mask, picture.shape[:2], lowest_value(colormap))
    unseen = np.isnan(values)
    heat = colours_of(values, colormap).astype(np.float32) / 255  # RGB
    if not use_rgb:
        heat = heat[:, :, ::-1]
    blend = image_weight * picture + (1 - image_weight) * heat
    blend[unseen] = picture[unseen]
    result: NDArray[np.uint8] = np.round(255 * blend).astype(np.uint8)
    return result


def _checked_mask(mask: Any, size: tuple[int, ...], low: int) -> NDArray[np.float32]:
    """The mask as float32 between ``low`` and 1, NaN kept, resized to the picture ``(H, W)``."""
    array = to_numpy(mask)
    if array.ndim != 2:
        raise ValueError(f"mask must have shape (h, w), not {array.shape}; give one map, e.g. maps[0]")
    values = array.astype(np.float32)
    if np.nanmin(values, initial=low) < low - 1e-5 or np.nanmax(values, initial=1) > 1 + 1e-5:
        hint = "divide it by its largest absolute value" if low else "see scale_cam_image, or show_signed_cam_on_image"
        raise ValueError(
            f"mask must be in the range [{low}, 1], not {np.nanmin(values):g}..{np.nanmax(values):g}; {hint}"
        )
    resized: NDArray[np.float32] = maps.resize(torch.from_numpy(values)[None], size)[0].numpy()
    return np.clip(resized, low, 1)
