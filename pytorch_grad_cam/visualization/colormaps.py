"""From values to colours: OpenCV's colour maps for [0, 1], and blue, white, red for signed values in [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.visualization.sheet import GAP, TEXT_HEIGHT, blank_sheet, paste_pixels, text_width, write_text

JET = 2  # cv2.COLORMAP_JET
DIVERGING = -1  # no number of OpenCV's: blue speaks against, white says nothing, red speaks for


def apply_colormap(values: Any, colormap: int) -> NDArray[np.uint8]:
    """Colour an array of numbers.

    Args:
        values: ``(*S)`` in [0, 1], or in [-1, 1] for `DIVERGING`; NaN counts as 0.
        colormap: one of OpenCV's ``COLORMAP_...``, or `DIVERGING`.

    Returns:
        uint8 RGB ``(*S, 3)``.
    """
    numbers = np.nan_to_num(np.asarray(values, dtype=np.float32))
    if colormap != DIVERGING:
        return np.take(_lookup_table(colormap), (255 * numbers).astype(np.uint8), axis=0)
    fading = 1 - np.abs(numbers)
    red, blue = np.where(numbers < 0, fading, 1), np.where(numbers > 0, fading, 1)
    return np.round(255 * np.stack([red, fading, blue], axis=-1)).astype(np.uint8)


@cache
def _lookup_table(colormap: int) -> NDArray[np.uint8]:
    """Return the 256 colours of a colour map, RGB ``(256, 3)``; looking them up is faster than OpenCV's own way."""
    import cv2

    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], colormap)  # (256, 1, BGR)
    return np.ascontiguousarray(colours[:, 0, ::-1], np.uint8)


def lowest_value(colormap: int) -> int:
    """Return where the values of a map begin: -1 for `DIVERGING`, else 0."""
    return -1 if colormap == DIVERGING else 0


def check_range(values: NDArray[Any], colormap: int, name: str, advice: str = "") -> None:
    """Refuse values that a colour map has no colour for.

    Raises:
        ValueError: if a value lies below the colour map's lowest or above 1; NaN does not count.
    """
    low = lowest_value(colormap)
    if np.nanmin(values, initial=low) < low - 1e-5 or np.nanmax(values, initial=1) > 1 + 1e-5:
        raise ValueError(
            f"{name} must be in the range [{low}, 1], not {np.nanmin(values):g}..{np.nanmax(values):g}{advice}"
        )


def colour_bar(
    height: int = 224, colormap: int = JET, ticks: Sequence[str] | None = None, width: int = 14
) -> NDArray[np.uint8]:
    """Show which colour stands for which value.

    Args:
        height: in pixels.
        colormap: one of OpenCV's ``COLORMAP_...``, or `DIVERGING`.
        ticks: written beside the bar at equal distances, the first at the bottom; None: the lowest, middle and highest
            value of a map.
        width: of the bar alone; the ticks are added to it.

    Returns:
        uint8 RGB ``(height, W, 3)``, on white.
    """
    if ticks is None:
        ticks = ("-1", "0", "1") if colormap == DIVERGING else ("0", "0.5", "1")
    colours = apply_colormap(np.linspace(1, lowest_value(colormap), height)[:, None], colormap)
    bar = blank_sheet(width + GAP + max(map(text_width, ticks), default=0), height)
    paste_pixels(bar, 0, 0, np.repeat(colours, width, axis=1))
    for index, tick in enumerate(ticks):
        share = index / max(len(ticks) - 1, 1)
        write_text(bar, width + GAP // 2, round((1 - share) * max(height - TEXT_HEIGHT - 2, 0)), tick)
    return np.array(bar)
