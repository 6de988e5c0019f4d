"""Metrics of how well the box around what a map marks is the object's.

What a map marks are the positions with ``M >= t``, of which neighbours, also diagonal ones, make a region. Boxes count
as hit or missed by intersection over union (IoU). Without boxes the one around the mask is the object's.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.objects import Extents, object_extents
from pytorch_grad_cam.targets.classification import category_of
from pytorch_grad_cam.targets.spec import class_scores


def regions(above: NDArray[np.bool_]) -> tuple[Extents, NDArray[np.int64]]:
    """Return the boxes ``(R, axes, 2)`` around the regions of positions ``(*S)``, and how many each has ``(R,)``."""
    if above.ndim > 2:
        return _regions_of_volume(above)
    import cv2

    plane = np.atleast_2d(above).astype(np.uint8)
    stats = cv2.connectedComponentsWithStats(plane, connectivity=8)[2][1:].astype(np.int64)  # the first is the rest
    left, top, width, height, counts = stats.T
    extents = np.stack([np.stack([top, top + height], 1), np.stack([left, left + width], 1)], 1)
    return extents[:, 2 - above.ndim :].astype(np.float64), counts


def _regions_of_volume(above: NDArray[np.bool_]) -> tuple[Extents, NDArray[np.int64]]:
    places = np.argwhere(above)  # (P, axes)
    numbers = np.full(tuple(length + 2 for length in above.shape), -1)
    numbers[tuple((places + 1).T)] = np.arange(len(places))
    pairs = []
    for step in itertools.product((-1, 0, 1), repeat=above.ndim):
        if step > (0,) * above.ndim:
            other = numbers[tuple((places + 1 + step).T)]
            pairs.append(np.stack([np.flatnonzero(other >= 0), other[other >= 0]]))
    first, second = np.concatenate(pairs, 1)
    labels = np.arange(len(places))  # a place's label is that of a place of the same region, in the end of its first
    while (labels[first] != labels[second]).any():
        one, other = labels[first], labels[second]
        np.minimum.at(labels, np.maximum(one, other), np.minimum(one, other))
        while (labels[labels] != labels).any():
            labels = labels[labels]
    _, regions_of, counts = np.unique(labels, return_inverse=True, return_counts=True)
    low = np.full((len(counts), above.ndim), np.inf)
    high = np.zeros_like(low)
    np.minimum.at(low, regions_of.reshape(-1), places.astype(np.float64))
    np.maximum.at(high, regions_of.reshape(-1), places + 1.0)
    return np.stack([low, high], 2), counts


def overlaps(boxes: Extents, others: Extents) -> NDArray[np.float64]:
    """Return the IoU of each box ``(R, axes, 2)`` with each other ``(K, axes, 2)``: ``(R, K)``."""
    starts = np.maximum(boxes[:, None, :, 0], others[None, :, :, 0])
    ends = np.minimum(boxes[:, None, :, 1], others[None, :, :, 1])
    shared = (ends - starts).clip(min=0).prod(2)
    sizes = [(extents[:, :, 1] - extents[:, :, 0]).prod(1) for extents in (boxes, others)]
    result: NDArray[np.float64] = shared / (sizes[0][:, None] + sizes[1][None] - shared)
    return result


def box_overlaps(case: Case, thresholds: Sequence[float]) -> Tensor:
    """Return how well boxes around what lies above thresholds fit the best of an image's boxes.

    Returns:
        ``(B, T, 2)`` float64: the IoU of the box around the largest region, and the best of the boxes around all. NaN
        for an image without boxes, and for a constant map, which has no threshold.
    """
    return case.once(("box overlaps", tuple(thresholds)), lambda: _box_overlaps(case, thresholds))


def _box_overlaps(case: Case, thresholds: Sequence[float]) -> Tensor:
    found = np.full((len(case.maps), len(thresholds), 2), np.nan)
    maps = case.unit_maps.double().cpu().numpy()
    judged = ~(case.constant | case.unusable).cpu().numpy()
    for row, known in enumerate(object_extents(case)):
        if judged[row] and len(known):
            found[row] = [_of_threshold(maps[row] >= threshold, known) for threshold in thresholds]
    return torch.from_numpy(found).to(case.maps.device)


def _of_threshold(above: NDArray[np.bool_], known: Extents) -> tuple[float, float]:
    boxes, counts = regions(above)
    best = overlaps(boxes, known).max(1)  # (R,); the highest place is above every threshold up to 1, so R > 0
    return float(best[counts.argmax()]), float(best.max())


def checked_threshold(threshold: float) -> float:
    """Return a threshold of maps in [0, 1].

    Raises:
        ValueError: for one that nothing, or everything, reaches.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold} must lie in (0, 1], as the maps are scaled to [0, 1]")
    return threshold


@dataclass(frozen=True)
class BoxIoU(Metric):
    """The IoU of the box around the map's largest region with the best of the object's boxes.

    Args:
        threshold: in (0, 1]; 0.15 of Grad-CAM's authors, 0.2 of CAM's. The value depends on it more than on all else.
    """

    threshold: float = 0.15

    name, higher_is_better, range, needs = "box_iou", True, (0.0, 1.0), ("masks",)
    source = "R. R. Selvaraju et al., 2017, Grad-CAM, arXiv:1610.02391"

    def measure(self, case: Case) -> Tensor:
        return box_overlaps(case, [checked_threshold(self.threshold)])[:, 0, 0]


@dataclass(frozen=True)
class LocalisationError(Metric):
    """Whether the box around the map's largest region misses: 1 if its IoU with every box of the object is too small.

    Args:
        threshold: in (0, 1]; 0.15 of Grad-CAM's authors, 0.2 of CAM's.
        overlap: the least IoU that hits.
        top: the class must also be among so many with the highest scores, as in the papers' tables (1 and 5); this
            runs the model. None: the class is given, only the place counts.
    """

    threshold: float = 0.15
    overlap: float = 0.5
    top: int | None = None

    name, higher_is_better, range, needs = "localisation_error", False, (0.0, 1.0), ("masks",)
    source = "R. R. Selvaraju et al., 2017, Grad-CAM, arXiv:1610.02391"

    def measure(self, case: Case) -> Tensor:
        fits = box_overlaps(case, [checked_threshold(self.threshold)])[:, 0, 0]
        hits = fits >= self.overlap
        if self.top is not None:
            hits = hits & _among_the_first(case, self.top)
        return torch.where(fits.isnan(), torch.nan, (~hits).double())


def _among_the_first(case: Case, top: int) -> Tensor:
    """Say of which images the class that is asked for has one of the highest scores: bool ``(B,)``."""
    classes = [category_of(target) for target in case.explained_targets]
    if top < 1 or None in classes:
        raise ValueError(
            f"localisation_error with top={top} needs top >= 1 and classes as targets; top=None asks for the place "
            "alone"
        )
    scores, _ = class_scores(case.outputs, "whether a class is among the first is asked")
    first = scores.topk(min(top, scores.shape[1]), dim=1).indices  # (B, top)
    asked = torch.tensor(classes, device=first.device) % scores.shape[1]
    return (first == asked[:, None]).any(1).to(case.maps.device)
