"""From values to colours: OpenCV's colour maps for [0, 1], and blue, white, red for signed values in [-1, 1]."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    """Raise a ValueError if a value lies below a colour map's lowest or above 1; NaN does not count."""
    low = lowest_value(colormap)
    if np.nanmin(values, initial=low) < low - 1e-5 or np.nanmax(values, initial=1) > 1 + 1e-5:
        raise ValueError(
            f"{name} must be in the range [{low}, 1], not {np.nanmin(values):g}..{np.nanmax(values):g}{advice}"
        )
