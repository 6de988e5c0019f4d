"""How the colours of a map and a picture become one: mixed alike, opaque where the map is strong, or as lines."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.drawing_names import BLENDS, Blend
from pytorch_grad_cam.visualization.colormaps import apply_colormap, lowest_value

LEVELS = (0.2, 0.4, 0.6, 0.8)  # of contour lines
_LINES_ACROSS = 240  # so many lines side by side would fill a picture
_THINNEST = 1.5  # pixels
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_DARK = 0.3  # in luma: a line that is darker has light edges, any other one dark ones


def blended(
    image: NDArray[np.float32], values: NDArray[np.float32], colormap: int, image_weight: float, blend: Blend
) -> NDArray[np.uint8]:
    """Blend a map with its picture.

    Args:
        image: RGB ``(H, W, 3)`` in [0, 1].
        values: ``(H, W)`` in the colour map's range, NaN where the picture shows as it is.
        colormap: see `colormaps.apply_colormap`.
        image_weight: in [0, 1].
        blend: see `overlay.show_cam_on_image`.

    Returns:
        uint8 RGB ``(H, W, 3)``.

    Raises:
        ValueError: for an unknown blend.
    """
    if blend not in BLENDS:
        raise ValueError(f"blend={blend!r} is unknown; choose one of {', '.join(BLENDS)}")
    if blend == "contour":
        return _with_contours(image, values, colormap)
    colours = apply_colormap(values, colormap).astype(np.float32) / np.float32(255)
    unseen = np.isnan(values)
    if blend == "classic":
        return mixed(image, colours, unseen, image_weight)
    opacity = np.float32(1 - image_weight) * np.abs(values)[:, :, None]
    return mixed(image, colours, unseen, (1 - opacity).astype(np.float32))


def mixed(
    image: NDArray[np.float32],
    colours: NDArray[np.float32],
    unseen: NDArray[np.bool_],
    image_weight: float | NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Mix a picture with colours: ``image_weight`` image + (1 - ``image_weight``) colours.

    Args:
        image, colours: ``(H, W, 3)`` in [0, 1].
        unseen: ``(H, W)``: where the picture shows as it is.
        image_weight: in [0, 1], also one per pixel, ``(H, W, 1)``.

    Returns:
        uint8 ``(H, W, 3)``.
    """
    result = image_weight * image + (1 - image_weight) * colours
    result[unseen] = image[unseen]
    pixels: NDArray[np.uint8] = np.round(255 * result).astype(np.uint8)
    return pixels


def _with_contours(image: NDArray[np.float32], values: NDArray[np.float32], colormap: int) -> NDArray[np.uint8]:
    """Draw the lines along which a map has certain values, in their colours and with dark edges."""
    result = np.array(image)
    levels = [*(-level for level in LEVELS), *LEVELS] if lowest_value(colormap) else list(LEVELS)
    width = max(_THINNEST, max(values.shape) / _LINES_ACROSS)
    for level in levels:
        colour = _line_colour(level, colormap)
        rows, columns, edge, line = contour_cover(values, level, width)
        beside = np.float32(0 if colour @ _LUMA >= _DARK else 1)  # so that it shows on a picture of its own colour
        shown = result[rows, columns] * (1 - 0.75 * edge[:, None]) + 0.75 * edge[:, None] * beside
        result[rows, columns] = shown * (1 - line[:, None]) + colour * line[:, None]
    pixels: NDArray[np.uint8] = np.round(255 * result).astype(np.uint8)
    return pixels


def _line_colour(level: float, colormap: int) -> NDArray[np.float32]:
    """Return the colour of a line, RGB in [0, 1]; near 0 the colours of signed maps are too pale for one."""
    value = math.copysign(0.4 + 0.6 * abs(level), level) if lowest_value(colormap) else level
    return apply_colormap(value, colormap).astype(np.float32) / np.float32(255)


def contour_cover(
    values: NDArray[np.float32], level: float, width: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
    """Return the pixels on the line along which a map has one value, and how much of each the line covers.

    The distance of a pixel to the line is, to first order, that of its value to the level divided by the slope.

    Args:
        values: ``(H, W)``; at NaN there is no line.
        level: the value.
        width: of the line, in pixels; its edge is as wide on either side.

    Returns:
        Rows, columns ``(n,)``, and the shares in [0, 1] that the line with its edges and the line alone cover.
    """
    import cv2

    known = np.nan_to_num(values, nan=-np.inf).astype(np.float32)
    reach = 2 * math.ceil(1.5 * width + 0.5) + 1
    window = np.ones((reach, reach), np.uint8)
    above = (known >= level).astype(np.uint8)
    # Only where the map crosses the level; a plateau has no line.
    near = (cv2.dilate(above, window) > 0) & (cv2.erode(above, window) == 0) & ~np.isnan(values)
    rows, columns = np.nonzero(near)
    down, across = (np.nan_to_num(slope) for slope in _slopes(values))
    slope = np.hypot(down[rows, columns], across[rows, columns])
    distance = np.abs(values[rows, columns] - level) / np.maximum(slope, 1e-12)
    edge, line = (np.clip(part * width + 0.5 - distance, 0, 1).astype(np.float32) for part in (1.5, 0.5))
    return rows, columns, edge, line


def _slopes(values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return how much a map rises from pixel to pixel, down and across; 0 where it has one pixel only."""
    return [np.gradient(values, axis=axis) if values.shape[axis] > 1 else np.zeros_like(values) for axis in (0, 1)]
