"""Whether maps point at what is known to be there: masks and boxes drawn by people.

All functions measure a batch, image by image, take arrays and tensors, and return float32 ``(B,)``. Where a number
means nothing it is NaN: no region, or a map without a highest place (constant, nothing positive, all NaN). A pixel that
is NaN, because the network never saw it, counts as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.engine.arrays import to_numpy
from pytorch_grad_cam.engine.boxes import Components, Threshold, boxes_from_map, mask_from_map

Numbers = NDArray[np.float32]


def pointing_hits(maps: Any, regions: Any, tolerance: float = 0.0) -> Numbers:
    """Say of each map whether its hottest place lies in the region: 1 or 0; higher is better.

    Of several hottest places the share that lies there counts, which is what drawing one of them gives on average.

    Args:
        maps: ``(B, *S)``, on any scale.
        regions: masks ``(B, *S)``, see `masks_of_boxes`.
        tolerance: distance in pixels from the region that still hits; 15 in the paper.

    Raises:
        ValueError: for other shapes.

    Source: J. Zhang et al., 2018, "Top-down Neural Attention by Excitation Backprop", arXiv:1608.00507 (the pointing
    game; its accuracy is the mean over a class, then over the classes).
    """

    def share_inside(values: NDArray[np.float64], region: NDArray[np.bool_]) -> float:
        known = values[~np.isnan(values)]
        if not known.size or known.max() == known.min():
            return np.nan
        if tolerance == 0:
            return float(region[values == known.max()].mean())
        places = np.argwhere(values == known.max())  # (N, axes)
        inside = np.argwhere(region)
        near = [((inside - place) ** 2).sum(1).min() <= tolerance**2 for place in places]
        return float(np.mean(near))

    return _each(share_inside, maps, regions)


def energy_inside(maps: Any, regions: Any) -> Numbers:
    """Measure the share of a map's positive values that lies in the region, in [0, 1]; higher is better.

    A map without any knowledge has the share of the picture that the region covers.

    Args:
        maps: ``(B, *S)``. A map that was stretched to [0, 1] has less inside than the one it was made of.
        regions: masks ``(B, *S)``, see `masks_of_boxes`.

    Raises:
        ValueError: for other shapes.

    Source: H. Wang et al., 2020, "Score-CAM", arXiv:1910.01279, section 4.3 (the energy-based pointing game).
    """

    def share_inside(values: NDArray[np.float64], region: NDArray[np.bool_]) -> float:
        positive = np.nan_to_num(values).clip(min=0)
        total = positive.sum()
        return float(positive[region].sum() / total) if total > 0 else np.nan

    return _each(share_inside, maps, regions)


def mask_ious(maps: Any, regions: Any, threshold: Threshold = 0.5, components: Components = "all") -> Numbers:
    """Measure how well the pixels above a threshold are those of the region: intersection over union, in [0, 1].

    Args:
        maps: ``(B, H, W)``; only positive values count.
        regions: masks ``(B, H, W)``, see `masks_of_boxes`.
        threshold, components: as for `mask_from_map`.

    Raises:
        ValueError: for other shapes or choices.
    """

    def overlap(values: NDArray[np.float64], region: NDArray[np.bool_]) -> float:
        mask = mask_from_map(values, threshold, components)
        return float((mask & region).sum() / (mask | region).sum()) if mask.any() else np.nan

    return _each(overlap, maps, regions)


def box_ious(maps: Any, boxes: Any, threshold: Threshold = 0.15) -> Numbers:
    """Measure how well the box around a map's largest region fits the best of an image's boxes, in [0, 1].

    A map localises its object if this is at least 0.5.

    Args:
        maps: ``(B, H, W)``; only positive values count.
        boxes: per image ``(N, 4)`` or one ``(4,)``: left, top, right, bottom in pixels of the map.
        threshold: as for `boxes_from_map`; 0.15 is that of the source.

    Raises:
        ValueError: for other shapes or thresholds.

    Source: R. Selvaraju et al., 2017, "Grad-CAM", arXiv:1610.02391, section 4.1.
    """
    arrays = to_numpy(maps).astype(np.float64)
    given = _boxes_per_image(boxes, len(arrays))
    numbers = []
    for values, known in zip(arrays, given, strict=True):
        found = boxes_from_map(values, threshold, "largest")
        if not found or not len(known):
            numbers.append(np.nan)
            continue
        box = np.array([found[0].left, found[0].top, found[0].right, found[0].bottom], np.float64)
        shared = np.minimum(box[2:], known[:, 2:]) - np.maximum(box[:2], known[:, :2])  # (N, 2)
        common = shared.clip(min=0).prod(1)
        areas = (known[:, 2:] - known[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
        numbers.append(float((common / (areas - common)).max()))
    return np.array(numbers, np.float32)


def masks_of_boxes(boxes: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Turn boxes into masks: the pixels whose middle lies in one of an image's boxes.

    Args:
        boxes: per image ``(N, 4)`` or one ``(4,)``: left, top, right, bottom in pixels.
        size: height and width.

    Returns:
        bool ``(B, H, W)``.

    Raises:
        ValueError: for boxes of another form, or with right <= left or bottom <= top.
    """
    down, across = np.arange(size[0])[:, None] + 0.5, np.arange(size[1])[None] + 0.5
    masks = np.zeros((len(boxes), *size), dtype=bool)
    for mask, known in zip(masks, _boxes_per_image(boxes, len(boxes)), strict=True):
        for left, top, right, bottom in known:
            mask |= (left <= across) & (across < right) & (top <= down) & (down < bottom)
    return masks


def _boxes_per_image(boxes: Any, batch: int) -> list[NDArray[np.float64]]:
    if len(boxes) != batch:
        raise ValueError(f"there are boxes for {len(boxes)} images, but {batch} maps; give one (4,) or (N, 4) for each")
    per_image = [to_numpy(each).astype(np.float64).reshape(-1, 4) if len(each) else np.zeros((0, 4)) for each in boxes]
    for index, known in enumerate(per_image):
        if not (known[:, 2:] > known[:, :2]).all():
            raise ValueError(
                f"image {index} has a box that is none: {known.tolist()}; give left, top, right, bottom with right > "
                "left and bottom > top"
            )
    return per_image


def _each(
    measure: Callable[[NDArray[np.float64], NDArray[np.bool_]], float], maps: Any, regions: Any
) -> NDArray[np.float32]:
    """Measure image by image; NaN where the region is empty."""
    arrays, masks = to_numpy(maps).astype(np.float64), to_numpy(regions)
    if arrays.shape != masks.shape or arrays.ndim < 2:
        raise ValueError(
            f"maps {arrays.shape} and regions {masks.shape} must both be (B, *S); of one image give map[None], of "
            "boxes masks_of_boxes(boxes, size)"
        )
    pairs: Sequence[tuple[Any, Any]] = list(zip(arrays, masks.astype(bool), strict=True))
    return np.array([measure(values, mask) if mask.any() else np.nan for values, mask in pairs], np.float32)
