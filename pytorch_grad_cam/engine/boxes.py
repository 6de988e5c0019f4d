"""From a map to what it points at: masks and boxes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.engine.arrays import resize_arrays, to_numpy

Components = Literal["largest", "all"]
Threshold = float | str


@dataclass(frozen=True)
class Box:
    """Holds a rectangle in pixels, which covers ``image[top:bottom, left:right]``.

    Attributes:
        area: pixels of the region inside it that are above the threshold.
        peak: largest value of the map in that region.
    """

    left: int
    top: int
    right: int
    bottom: int
    area: int
    peak: float


def mask_from_map(
    map: Any, threshold: Threshold = 0.5, components: Components = "all", size: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Say of each pixel whether the map points at it.

    Args:
        map: ``(h, w)``, array or tensor; only positive values count, and NaN (never seen by the network) does not.
        threshold: a number in (0, 1]: this share of the map's maximum; "p90": the 90th percentile of its values;
            "otsu": where it splits best into two groups (Otsu 1979, doi:10.1109/TSMC.1979.4310076).
        components: "all" regions above it, or only the one with the "largest" area; diagonal neighbours are connected.
        size: height and width of a picture that the map covers as a whole; the map is resized to it first. Where the
            network saw only a part of the picture, `Preprocessing.to_picture` gives the map to pass on here.

    Returns:
        bool ``(H, W)``, False everywhere if nothing in the map is positive.

    Raises:
        ValueError: for another shape, threshold or choice of components.
    """
    labels, regions = _regions(_resized_map(map, size), threshold, components)
    return np.isin(labels, [label for label, _ in regions])


def boxes_from_map(
    map: Any, threshold: Threshold = 0.5, components: Components = "all", size: tuple[int, int] | None = None
) -> list[Box]:
    """Draw a box around each region of `mask_from_map`, whose arguments these are; the largest region comes first."""
    return [box for _, box in _regions(_resized_map(map, size), threshold, components)[1]]


def maps_in_boxes(map: Any, boxes: Iterable[Any]) -> NDArray[np.float32]:
    """Stretch a map to [0, 1] inside each box by itself, and show nothing elsewhere.

    So each object shows where in it the network looks, however weak the map is there. Where boxes overlap the larger
    value counts.

    Args:
        map: ``(H, W)``, array or tensor; NaN (never seen by the network) stays NaN.
        boxes: each a `Box`, or left, top, right, bottom in pixels of the map, such as a `DetectedObject.box`; whole
            pixels count, and what lies outside of the map does not.

    Returns:
        float32 ``(H, W)`` in [0, 1]; 0 in a box where the map is constant.

    Raises:
        ValueError: for another shape, or a box that is none.
    """
    values = _resized_map(map, None)
    result = np.where(np.isnan(values), np.nan, 0.0)
    for box in boxes:
        sides = (box.left, box.top, box.right, box.bottom) if isinstance(box, Box) else to_numpy(box).tolist()
        if len(sides) != 4 or sides[2] <= sides[0] or sides[3] <= sides[1]:
            raise ValueError(f"the box {sides} is none; give left, top, right, bottom, with right > left, bottom > top")
        left, top, right, bottom = (max(0, round(side)) for side in sides)
        inside, part = result[top:bottom, left:right], values[top:bottom, left:right]
        known = part[~np.isnan(part)]
        if known.size and known.max() > known.min():
            np.maximum(inside, (part - known.min()) / (known.max() - known.min()), out=inside)
    return result.astype(np.float32)


def _number_of(threshold: Threshold) -> float:
    """Return the share or the percentile that a threshold names, 0 for "otsu"."""
    if threshold == "otsu":
        return 0.0
    percentile = isinstance(threshold, str)
    if isinstance(threshold, str):
        number = float(threshold[1:]) if re.fullmatch(r"p\d+(\.\d+)?", threshold) else -1.0
    else:
        number = float(threshold)
    if not (0 <= number < 100 if percentile else 0 < number <= 1):
        raise ValueError(
            f"the threshold {threshold!r} is none; give a share of the maximum in (0, 1], a percentile such as 'p90', "
            "or 'otsu'"
        )
    return number


def _resized_map(map: Any, size: tuple[int, int] | None) -> NDArray[np.float64]:
    values = to_numpy(map).astype(np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"a map must have shape (h, w), not {values.shape}; give one map, e.g. maps[0]")
    return values if size is None else resize_arrays(values[None], size)[0]


def _regions(
    values: NDArray[np.float64], threshold: Threshold, components: Components
) -> tuple[NDArray[np.int32], list[tuple[int, Box]]]:
    """Return the label of each pixel, and the regions that were asked for as (label, box), largest first."""
    import cv2

    if components not in ("largest", "all"):
        raise ValueError(f"components={components!r} is unknown; choose 'largest' or 'all'")
    number = _number_of(threshold)
    finite = values[~np.isnan(values)]
    if not finite.size or finite.max() <= 0:
        return np.zeros(values.shape, np.int32), []
    if threshold == "otsu":
        level = _otsu(finite)
    else:
        level = np.percentile(finite, number) if isinstance(threshold, str) else number * finite.max()
    above = (values >= level) & (values > 0)  # False for NaN
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8), connectivity=8)
    regions = []
    for label in range(1, count):  # 0 is what lies below
        left, top, width, height, area = map(int, stats[label])
        peak = float(values[labels == label].max())
        regions.append((label, Box(left, top, left + width, top + height, area, peak)))
    regions.sort(key=lambda region: (region[1].area, region[1].peak), reverse=True)
    return np.asarray(labels, np.int32), regions[:1] if components == "largest" else regions


def _otsu(values: NDArray[np.float64]) -> float:
    """Return the level that leaves the least variance within the two groups it makes."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / (below[-1] - below)
    between = np.nan_to_num(below * (below[-1] - below) * gap**2)  # variance between the groups, times n^2
    return float(edges[int(between.argmax()) + 1])
