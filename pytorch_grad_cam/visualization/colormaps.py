"""From values to colours: OpenCV's colour maps for [0, 1], and colours around white for signed values in [-1, 1]."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.drawing_names import COLORMAPS, SIGNED_COLORMAPS

JET = 2  # cv2.COLORMAP_JET
# No numbers of OpenCV's: what speaks against, white, which says nothing, and what speaks for.
DIVERGING = -1  # blue, white, red
PURPLE_ORANGE = -2
_SIGNED = dict(zip(SIGNED_COLORMAPS, (DIVERGING, PURPLE_ORANGE), strict=True))
_ENDS = {DIVERGING: ((0, 0, 255), (255, 0, 0)), PURPLE_ORANGE: ((84, 39, 136), (230, 97, 1))}  # of -1 and of 1


def colormap_number(colormap: int | str) -> int:
    """Return the number of a colour map.

    Args:
        colormap: a number of OpenCV's, `DIVERGING` or `PURPLE_ORANGE`, which stays; or a name, such as "viridis".

    Raises:
        ValueError: for an unknown name.
    """
    if not isinstance(colormap, str):
        return colormap
    name = colormap.lower().removeprefix("colormap_")
    if name in _SIGNED:
        return _SIGNED[name]
    if name not in COLORMAPS:
        raise ValueError(f"unknown colormap {colormap!r}; known: {', '.join((*COLORMAPS, *SIGNED_COLORMAPS))}")
    import cv2

    return int(getattr(cv2, f"COLORMAP_{name.upper()}"))


def apply_colormap(values: Any, colormap: int) -> NDArray[np.uint8]:
    """Colour an array of numbers.

    Args:
        values: ``(*S)`` in [0, 1], or in [-1, 1] for `DIVERGING` and `PURPLE_ORANGE`; NaN counts as 0.
        colormap: one of OpenCV's ``COLORMAP_...``, `DIVERGING` or `PURPLE_ORANGE`.

    Returns:
        uint8 RGB ``(*S, 3)``.
    """
    numbers = np.nan_to_num(np.asarray(values, dtype=np.float32))
    if colormap not in _ENDS:
        return np.take(_lookup_table(colormap), (255 * numbers).astype(np.uint8), axis=0)
    against, speaking_for = (255 - np.array(end, np.float32) for end in _ENDS[colormap])
    taken = np.where(numbers[..., None] < 0, against, speaking_for) * np.abs(numbers)[..., None]
    return np.round(255 - taken).astype(np.uint8)


@cache
def _lookup_table(colormap: int) -> NDArray[np.uint8]:
    """Return the 256 colours of a colour map, RGB ``(256, 3)``; looking them up is faster than OpenCV's own way."""
    import cv2

    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], colormap)  # (256, 1, BGR)
    return np.ascontiguousarray(colours[:, 0, ::-1], np.uint8)


def lowest_value(colormap: int) -> int:
    """Return where the values of a map begin: -1 for `DIVERGING` and `PURPLE_ORANGE`, else 0."""
    return -1 if colormap in _ENDS else 0


def check_range(values: NDArray[Any], colormap: int, name: str, advice: str = "") -> None:
    """Raise a ValueError if a value lies below a colour map's lowest or above 1; NaN does not count."""
    low = lowest_value(colormap)
    if np.nanmin(values, initial=low) < low - 1e-5 or np.nanmax(values, initial=1) > 1 + 1e-5:
        raise ValueError(
            f"{name} must be in the range [{low}, 1], not {np.nanmin(values):g}..{np.nanmax(values):g}{advice}"
        )


def clip_outliers(map: Any, percentile: float = 99) -> NDArray[np.float32]:
    """Make a map of single pixels readable, whose few largest values leave the rest dark: cut them off.

    Args:
        map: ``(*S)`` of any range, also signed; NaN stays.
        percentile: of the absolute values: this and all above becomes 1 (and -1).

    Returns:
        float32 of the same shape, in [-1, 1]; 0 stays 0. Where most of the map is 0, only what is not counts.

    Raises:
        ValueError: if the percentile is not in (0, 100].
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile={percentile} must be above 0 and at most 100")
    values = np.asarray(map, dtype=np.float32)
    strengths = np.abs(values[np.isfinite(values)])
    limit = float(np.percentile(strengths, percentile)) if len(strengths) else 0.0
    if limit == 0:
        positive = strengths[strengths > 0]
        limit = float(np.percentile(positive, percentile)) if len(positive) else 1.0
    clipped: NDArray[np.float32] = np.clip(values / limit, -1, 1)
    return clipped
