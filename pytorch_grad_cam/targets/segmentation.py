"""Targets for networks that score every position of the picture, as segmentation networks do."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.engine.image_model import scores_inside
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.targets.classification import Target

log = logging.getLogger(__name__)

_SHOWN = 6  # classes in a message


class SemanticSegmentationTarget:
    """Scores an image by the scores of one class, summed over a region: ``sum_p m(p) y_c(p)``.

    One image's output is ``(M, *S)``, or holds that as ``logits``, ``out`` or first tensor. A network with a single
    channel ``(1, *S)`` has two classes: 1 where it is above ``threshold``, scored by the channel; 0 elsewhere, scored
    by its negative.

    Args:
        category: class index ``c``.
        mask: the region ``m`` in what the network sees, ``(*s)``: bool, whole numbers (0 is outside), or float weights;
            array, picture or tensor on any device. Of another size than the output it is resized: each position
            counts by the share of it that lies inside. None: where the network predicts the class.
        threshold: for a single channel: 0 if it is a logit, 0.5 if it is a probability.

    Raises:
        ValueError: for a mask that is empty, not finite, or a picture of several classes; when called, for an output
            without positions or a mask with other axes.
        IndexError: when called, for a class that the model does not have.
    """

    def __init__(self, category: int, mask: NDArray[Any] | Tensor | None = None, *, threshold: float = 0.0) -> None:
        self.category = category
        self.mask = None if mask is None else _checked_mask(mask)
        self.threshold = threshold

    def __call__(self, model_output: Any) -> Tensor:
        scores = dense_scores(model_output)  # (M, *S)
        scores_of_class = _scores_of_class(scores, self.category)
        return (scores_of_class * self.region_of(scores)).sum()

    def fixed_on(self, model_output: Any) -> SemanticSegmentationTarget:
        """Return the same target with the region that is predicted now, also for changed versions of the image.

        Raises:
            ValueError: if the class is predicted nowhere.
        """
        if self.mask is not None:
            return self
        scores = dense_scores(model_output).detach()
        _scores_of_class(scores, self.category)
        region = self.region_of(scores)
        if not region.any():
            raise ValueError(
                f"class {self.category} is predicted at no position, so it has no region whose score could be "
                f"explained; predicted are {_predicted_shares(scores, self.threshold)}{_threshold_hint(scores)}; give "
                f"one of these, or a region: SemanticSegmentationTarget({self.category}, mask)"
            )
        return SemanticSegmentationTarget(self.category, region, threshold=self.threshold)

    def region_of(self, scores: Tensor) -> Tensor:
        """Return the weight of each position ``(*S)`` of scores ``(M, *S)``."""
        if self.mask is None:
            return predicted_classes(scores, self.threshold) == self.category % max(2, len(scores))
        return _resized_mask(self.mask.to(scores.device), scores.shape[1:])


class SegmentationPointTarget:
    """Scores an image by the score of one class at one point.

    Args:
        point: ``(row, column)``, or as many coordinates as there are spatial axes, from 0.
        category: class index; None: the class that is predicted there.
        size: of the picture in whose pixels the point is given, ``(height, width)``; None: the output's own.
        threshold: as for ``SemanticSegmentationTarget``.

    Raises:
        ValueError: when called, for a point outside the picture.
        IndexError: when called, for a class that the model does not have.
    """

    def __init__(
        self,
        point: Sequence[float],
        category: int | None = None,
        *,
        size: Sequence[int] | None = None,
        threshold: float = 0.0,
    ) -> None:
        self.point, self.category = tuple(point), category
        self.size, self.threshold = None if size is None else tuple(size), threshold

    def __call__(self, model_output: Any) -> Tensor:
        if self.category is None:
            return self.fixed_on(model_output)(model_output)
        scores = dense_scores(model_output)
        return _scores_of_class(scores, self.category)[self._cell(scores)]

    def fixed_on(self, model_output: Any) -> SegmentationPointTarget:
        """Return the same target with the class that is predicted there now."""
        if self.category is not None:
            return self
        scores = dense_scores(model_output).detach()
        category = int(predicted_classes(scores, self.threshold)[self._cell(scores)])
        return SegmentationPointTarget(self.point, category, size=self.size, threshold=self.threshold)

    def _cell(self, scores: Tensor) -> tuple[int, ...]:
        cells = tuple(scores.shape[1:])
        size = self.size or cells
        if len(size) != len(cells) or len(self.point) != len(cells):
            raise ValueError(
                f"the point {self.point} in a picture of size {size} does not fit the output's {len(cells)} spatial "
                f"axes {cells}; give one coordinate per axis, (row, column) in a picture"
            )
        if not all(0 <= place < length for place, length in zip(self.point, size, strict=True)):
            raise ValueError(
                f"the point {self.point} lies outside of {size}; coordinates are (row, column) from 0, and size= says "
                "in which picture they were measured"
            )
        return tuple(int(at * count / length) for at, count, length in zip(self.point, cells, size, strict=True))


def dense_scores(model_output: Any) -> Tensor:
    """Return one image's scores ``(M, *S)``, at least float32: its output, or the part of it that holds them.

    Raises:
        ValueError: if there are no scores with positions.
    """
    scores = model_output
    if not isinstance(scores, Tensor):
        part = scores_inside(model_output)
        scores = None if part is None else part[1]
    if isinstance(scores, Tensor) and scores.ndim >= 2:
        return working_precision(scores)
    form = f"a tensor {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(model_output).__name__
    raise NoScoresError(
        f"a segmentation target needs scores (M, *S) for each image, but the model returns {form}",
        "pick the scores with output=, or for a classifier give the class index",
    )


def predicted_classes(scores: Tensor, threshold: float = 0.0) -> Tensor:
    """Return the class of each position, int64 ``(*S)``, from scores ``(M, *S)``; one channel: 1 above threshold."""
    return scores.argmax(0) if len(scores) > 1 else (scores[0] > threshold).long()


def main_class(scores: Tensor) -> int:
    """Return the class with the largest predicted region; 0, mostly the background, only where there is no other."""
    areas = predicted_classes(scores).flatten().bincount(minlength=2)
    areas[0] = 0
    return int(areas.argmax())  # the first of equal ones: 0 if nothing else is predicted


@dataclass(frozen=True)
class DenseOutput:
    """Outputs of a segmentation network, with scores ``(B, M, *S)`` in them."""

    scores: Tensor

    def top(self, rank: int = 0) -> list[Target]:
        return [SemanticSegmentationTarget(main_class(scores)) for scores in self.scores]

    def of_class(self, category: int) -> Target:
        if category < 0:
            raise IndexError(f"class {category} does not exist; classes count from 0")
        return SemanticSegmentationTarget(category)

    def contrast(self, first: int, second: int, batch: int) -> list[Target]:
        return [_RegionContrast(SemanticSegmentationTarget(first), second) for _ in range(batch)]


@dataclass(frozen=True)
class _RegionContrast:
    """What makes it the first class rather than the second, where the first is predicted."""

    first: SemanticSegmentationTarget
    other: int

    @property
    def category(self) -> int:
        return self.first.category

    def fixed_on(self, model_output: Any) -> _RegionContrast:
        """Return the same contrast in the region where the first class is predicted now."""
        return _RegionContrast(self.first.fixed_on(model_output), self.other)

    def __call__(self, model_output: Any) -> Tensor:
        second = SemanticSegmentationTarget(self.other, self.first.mask)
        return self.first(model_output) - second(model_output)


def _scores_of_class(scores: Tensor, category: int) -> Tensor:
    """Return the score of a class at each position ``(*S)``."""
    count = max(2, len(scores))
    if not -len(scores) <= category < count:
        raise IndexError(
            f"class {category} does not exist: the model has {count} classes, 0 to {count - 1}"
            + (" (its one channel is class 1, its negative class 0)" if len(scores) == 1 else "")
        )
    if len(scores) == 1:
        return scores[0] if category % 2 else -scores[0]
    return scores[category]


def _checked_mask(mask: Any) -> Tensor:
    weights = mask.detach() if isinstance(mask, Tensor) else torch.from_numpy(np.array(mask))
    if not weights.is_floating_point() and weights.dtype != torch.bool:
        values = [value for value in torch.unique(weights.long()).tolist() if value]
        if len(values) > 1:
            raise ValueError(
                f"the mask holds the numbers {', '.join(map(str, values[:_SHOWN]))}: it is a picture of classes, not "
                f"of one region; give e.g. mask == {values[0]}"
            )
        weights = weights != 0
    if weights.is_floating_point() and not bool(torch.isfinite(weights).all()):
        raise ValueError("the mask contains NaN or infinity; give 0 for what lies outside of the region")
    if not bool(weights.any()):
        raise ValueError("the mask is empty: no position is inside; give another region, or None for the predicted one")
    return weights


def _resized_mask(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Fit a mask to the output: the share of each position that lies inside."""
    if tuple(mask.shape) == tuple(size):
        return mask
    if mask.ndim != len(size):
        raise ValueError(
            f"the mask is {tuple(mask.shape)}, the model's output for one class {tuple(size)}; give a mask with the "
            f"same {len(size)} axes, without channels"
        )
    log.info("the mask %s is resized to the output %s", tuple(mask.shape), tuple(size))
    return functional.interpolate(working_precision(mask)[None, None], tuple(size), mode="area")[0, 0]


def _predicted_shares(scores: Tensor, threshold: float) -> str:
    areas = predicted_classes(scores, threshold).flatten().bincount()
    order = areas.argsort(descending=True)[:_SHOWN].tolist()
    return ", ".join(f"{index} ({100 * int(areas[index]) / int(areas.sum()):.3g} %)" for index in order if areas[index])


def _threshold_hint(scores: Tensor) -> str:
    if len(scores) > 1 or scores.min() < 0 or scores.max() > 1:
        return ""
    return " (if the one channel is a probability, threshold=0.5 separates its two classes)"
