"""What is asked of an image, as metrics need it: as a number in [0, 1], and of another class.

A class stands for different numbers, by what the network returns: of a classifier for its logit, of a segmentation
network for the sum of its scores over a region, of a detector for how sure it is of one object. Methods explain these;
metrics compare changed images with the unchanged one, for which the number should be a probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pytorch_grad_cam.engine.trees import one_image
from pytorch_grad_cam.targets.classification import (
    BinaryClassifierOutputTarget,
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
    Target,
    category_of,
)
from pytorch_grad_cam.targets.derived import SelectedTarget
from pytorch_grad_cam.targets.detection import BoxTarget
from pytorch_grad_cam.targets.segmentation import SemanticSegmentationTarget, dense_scores
from pytorch_grad_cam.targets.spec import class_count, kind_of

Scoring = Literal["softmax", "sigmoid", "raw"]
SCORINGS = ("softmax", "sigmoid", "raw")


@dataclass(frozen=True)
class SigmoidTarget:
    """The probability of a yes, of a target that is a logit."""

    logit: Target

    @property
    def category(self) -> Any:
        return category_of(self.logit)

    def __call__(self, model_output: Any) -> Tensor:
        return self.logit(model_output).sigmoid()


@dataclass(frozen=True)
class RegionShareTarget:
    """The mean probability of a class over a region: what a segmentation network says there, in [0, 1].

    Attributes:
        region: the class, and the positions, whose weights divide the sum.
        scoring: what makes probabilities of the scores at a position. A single channel never takes the softmax.
    """

    region: SemanticSegmentationTarget
    scoring: Scoring = "softmax"

    @property
    def category(self) -> int:
        return self.region.category

    def __call__(self, model_output: Any) -> Tensor:
        scores = dense_scores(model_output)  # (M, *S)
        weights = self.region.region_of(scores).to(scores)
        shares = self._shares(scores)[self.category % max(2, len(scores))]
        return (shares * weights).sum() / weights.sum()

    def _shares(self, scores: Tensor) -> Tensor:
        """Return the share of each class at each position; of a single channel those of no and yes."""
        if len(scores) == 1:
            yes = scores if self.scoring == "raw" or self.region.threshold else scores.sigmoid()
            return torch.cat([1 - yes, yes])
        if self.scoring == "raw":
            return scores
        return scores.softmax(0) if self.scoring == "softmax" else scores.sigmoid()


def as_probability(target: Target, scoring: Scoring = "softmax") -> Target:
    """Return what metrics score where a class was asked for, which ``target`` explains.

    Args:
        target: of one image, as ``resolve_targets`` makes it of a class.
        scoring: "softmax" where one of the classes is true, "sigmoid" where each is a yes or no, "raw" where the
            network returns probabilities already. One score per image is a yes or no whatever is said, and that of a
            detection is taken as it is.
    """
    if isinstance(target, SelectedTarget):
        return SelectedTarget(target.selector, as_probability(target.target, scoring))
    if type(target) is SemanticSegmentationTarget:
        return RegionShareTarget(target, scoring)
    if scoring == "raw":
        return target
    if type(target) is BinaryClassifierOutputTarget:
        return SigmoidTarget(target)
    if type(target) is ClassifierOutputTarget:
        return ClassifierOutputSoftmaxTarget(target.category) if scoring == "softmax" else SigmoidTarget(target)
    return target


def classes_to_ask(target: Target, outputs: Any, index: int, batch: int) -> int:
    """Return how many classes the question about image ``index`` of ``batch`` may be about.

    Raises:
        ValueError: for a question that cannot be put for another class.
    """
    if type(target) is SemanticSegmentationTarget:
        return max(2, len(dense_scores(one_image(outputs, index, batch))))
    if isinstance(target, BoxTarget):
        scores = target.read(one_image(outputs, index, batch)).scores
        if scores.ndim < 2:
            raise ValueError(
                "another class is asked for in the place of the same box, and this detector says one class of each "
                "box; leave this metric out"
            )
        return int(scores.shape[1])
    return class_count(outputs)


def of_other_class(target: Target, category: int, outputs: Any) -> Target:
    """Return the same question about another class: in the same region, or for the same box."""
    if isinstance(target, SelectedTarget):
        return SelectedTarget(target.selector, of_other_class(target.target, category, outputs))
    if type(target) is SemanticSegmentationTarget:
        return SemanticSegmentationTarget(category, target.mask, threshold=target.threshold)
    if isinstance(target, BoxTarget):
        overlap = {"overlap_counts": target.overlap_counts, "least_overlap": target.least_overlap}
        return BoxTarget(target.box, category, read=target.read, **overlap)  # type: ignore[arg-type]
    if type(target) is ClassifierOutputSoftmaxTarget:
        return ClassifierOutputSoftmaxTarget(category)
    return kind_of(outputs).of_class(category)
