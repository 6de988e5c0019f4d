"""Metrics that take positions away, or put them back, in the order of the map, and follow the score.

A curve has ``n + 1`` points: after ``k`` of ``n`` steps ``round(k N / n)`` positions are changed, in the end all. Only
the order of a map matters, so a constant map has no curve. The area is the trapezoid's, against the share of changed
positions: with equal steps that of RISE's authors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.fills import fill_of
from pytorch_grad_cam.metrics.metric import Metric

STEPS = 28  # a step of 8 rows at 224 x 224 positions, as RISE's authors take on a data set


def curve(case: Case, *, steps: int, fill: str, least_first: bool, insert: bool) -> Tensor:
    """Return the scores along a curve ``(B, n + 1)``.

    Args:
        steps: how many; no more than positions.
        fill: what stands where positions are missing, see ``metrics.fills``.
        least_first: the order: ascending instead of descending values.
        insert: start with everything missing and put positions back, instead of taking them away.

    Raises:
        ValueError: for less than one step, or an unknown fill.
    """
    places = case.maps[0].numel()
    if steps < 1:
        raise ValueError(f"steps={steps} must be 1 or more")
    steps = min(steps, places)
    counts = torch.round(torch.arange(steps + 1, device=case.inputs.device, dtype=torch.float64) * places / steps)
    ranks = places - 1 - case.ranks if least_first else case.ranks
    filled = fill_of(fill, case.inputs)

    def change(rows: Tensor, versions: Tensor) -> Tensor:
        column = (-1, *[1] * (ranks.ndim - 1))
        reached = (ranks[rows] < counts[versions].reshape(column))[:, None]
        keeps = reached if insert else ~reached
        return torch.where(keeps, case.inputs[rows], filled[rows])

    # Taking the first k away leaves what putting the last N - k back gives: the same images under one key.
    kind = ("curve", fill, least_first != insert)
    kept = [(places - count if not insert else count) for count in map(int, counts.tolist())]
    return case.scores_of_versions(kind, kept, change)


def area(case: Case, scores: Tensor) -> Tensor:
    """Return the area under curves ``(B, n + 1)`` whose steps are equal, over a length of 1; NaN for a constant map."""
    ends = (scores[:, 0] + scores[:, -1]) / 2
    return torch.where(case.constant, torch.nan, (scores.sum(1) - ends) / (scores.shape[1] - 1))


@dataclass(frozen=True)
class Insertion(Metric):
    """The area under the score while the image is put together, what the map values most first.

    Args:
        steps: of the curve.
        fill: what the image starts as: "blur", "mean" or "zero".
    """

    steps: int = STEPS
    fill: str = "blur"

    name, higher_is_better, range, needs = "insertion", True, (0.0, 1.0), ("model",)
    source = "V. Petsiuk et al., 2018, RISE, arXiv:1806.07421"

    def measure(self, case: Case) -> Tensor:
        return area(case, curve(case, steps=self.steps, fill=self.fill, least_first=False, insert=True))


@dataclass(frozen=True)
class Deletion(Metric):
    """The area under the score while the image is taken away, what the map values most first.

    Args:
        steps: of the curve.
        fill: what the image ends as: "zero", "mean" or "blur".
    """

    steps: int = STEPS
    fill: str = "zero"

    name, higher_is_better, range, needs = "deletion", False, (0.0, 1.0), ("model",)
    source = "V. Petsiuk et al., 2018, RISE, arXiv:1806.07421"

    def measure(self, case: Case) -> Tensor:
        return area(case, curve(case, steps=self.steps, fill=self.fill, least_first=False, insert=False))


@dataclass(frozen=True)
class InsertionMinusDeletion(Metric):
    """Insertion minus deletion: what the one rewards too much, the other punishes.

    Args:
        steps: of both curves.
    """

    steps: int = STEPS

    name, higher_is_better, range, needs = "insertion_minus_deletion", True, (-1.0, 1.0), ("model",)
    source = "V. Petsiuk et al., 2018, RISE, arXiv:1806.07421"

    def measure(self, case: Case) -> Tensor:
        return Insertion(self.steps).measure(case) - Deletion(self.steps).measure(case)


@dataclass(frozen=True)
class PixelFlippingMoRF(Metric):
    """The area under the score while positions are taken away, most relevant first.

    Args:
        steps: of the curve.
        fill: "mean", "zero" or "blur".
    """

    steps: int = STEPS
    fill: str = "mean"

    name, higher_is_better, range, needs = "pixel_flipping_morf", False, (0.0, 1.0), ("model",)
    source = "S. Bach et al., 2015, doi:10.1371/journal.pone.0130140"

    def measure(self, case: Case) -> Tensor:
        return area(case, curve(case, steps=self.steps, fill=self.fill, least_first=False, insert=False))


@dataclass(frozen=True)
class PixelFlippingLeRF(Metric):
    """The area under the score while positions are taken away, least relevant first.

    Args:
        steps: of the curve.
        fill: "mean", "zero" or "blur".
    """

    steps: int = STEPS
    fill: str = "mean"

    name, higher_is_better, range, needs = "pixel_flipping_lerf", True, (0.0, 1.0), ("model",)
    source = "S. Bach et al., 2015, doi:10.1371/journal.pone.0130140"

    def measure(self, case: Case) -> Tensor:
        return area(case, curve(case, steps=self.steps, fill=self.fill, least_first=True, insert=False))


@dataclass(frozen=True)
class SymmetricRelevanceGain(Metric):
    """LeRF minus MoRF: the room between the two curves, which depends least on the fill.

    Args:
        steps: of both curves.
        fill: "mean", "zero" or "blur".
    """

    steps: int = STEPS
    fill: str = "mean"

    name, higher_is_better, range, needs = "symmetric_relevance_gain", True, (-1.0, 1.0), ("model",)
    source = "S. Blücher et al., 2024, arXiv:2401.06654"

    def measure(self, case: Case) -> Tensor:
        least = PixelFlippingLeRF(self.steps, self.fill).measure(case)
        return least - PixelFlippingMoRF(self.steps, self.fill).measure(case)


@dataclass(frozen=True)
class AOPC(Metric):
    """The mean drop along the curve of the most relevant positions: ``1 / (n + 1) sum_k (s(x) - c_k)``.

    Args:
        steps: of the curve.
        fill: "mean", "zero" or "blur".
    """

    steps: int = STEPS
    fill: str = "mean"

    name, higher_is_better, range, needs = "aopc", True, (-1.0, 1.0), ("model",)
    source = "W. Samek et al., 2015, arXiv:1509.06321"

    def measure(self, case: Case) -> Tensor:
        scores = curve(case, steps=self.steps, fill=self.fill, least_first=False, insert=False)
        return torch.where(case.constant, torch.nan, case.scores - scores.mean(1))
