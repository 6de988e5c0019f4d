"""Metrics of weakly supervised localisation over a data set: the best threshold is one for all images, or all count.

Thresholds are ``k / steps``, ``k = 0 .. steps``, of maps in [0, 1]. The authors round maps to 8 bit, and count boxes
with their last pixel; here neither is done. Tune nothing on the images that are reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.box_overlap import box_overlaps
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import DataSetMetric
from pytorch_grad_cam.metrics.objects import object_masks, without_object

STEPS = 100


def _thresholds(steps: int) -> list[float]:
    if steps < 1:
        raise ValueError(f"steps={steps} must be 1 or more")
    return [step / steps for step in range(steps + 1)]


@dataclass(frozen=True)
class MaxBoxAcc(DataSetMetric):
    """The share of images whose largest region has a fitting box, at the one threshold that is best for all of them.

    ``max_t mean 1(IoU(box_t, boxes) >= overlap)``. Of one image, the best IoU of any threshold. Statistics: the IoU at
    each threshold ``(B, T)``.

    Args:
        overlap: the least IoU that fits.
        steps: of the threshold from 0 to 1.
    """

    overlap: float = 0.5
    steps: int = STEPS

    name, higher_is_better, range, needs = "max_box_acc", True, (0.0, 1.0), ("masks",)
    source = "J. Choe et al., 2020, arXiv:2001.07437"

    def table(self, case: Case) -> Tensor:
        return box_overlaps(case, _thresholds(self.steps))[..., 0]

    def of_statistics(self, statistics: Tensor) -> Tensor:
        return statistics.amax(1)

    def aggregate_known(self, statistics: Tensor) -> Tensor:
        return (statistics >= self.overlap).double().mean(0).max()


@dataclass(frozen=True)
class MaxBoxAccV2(DataSetMetric):
    """`MaxBoxAcc` where the box around any region may fit, mean over three demands on the fit.

    Of one image, the best IoU of any threshold and region. Statistics: the best IoU at each threshold ``(B, T)``.

    Args:
        overlaps: the least IoU that fits, one after the other.
        steps: of the threshold from 0 to 1.
    """

    overlaps: tuple[float, ...] = (0.3, 0.5, 0.7)
    steps: int = STEPS

    name, higher_is_better, range, needs = "max_box_acc_v2", True, (0.0, 1.0), ("masks",)
    source = "J. Choe et al., 2020, arXiv:2007.04178"

    def table(self, case: Case) -> Tensor:
        return box_overlaps(case, _thresholds(self.steps))[..., 1]

    def of_statistics(self, statistics: Tensor) -> Tensor:
        return statistics.amax(1)

    def aggregate_known(self, statistics: Tensor) -> Tensor:
        best = [(statistics >= overlap).double().mean(0).max() for overlap in self.overlaps]
        return torch.stack(best).mean()


@dataclass(frozen=True)
class PxAP(DataSetMetric):
    """The area under precision against recall of the object's positions, those of all images pooled.

    ``sum_l Prec(t_l) (Rec(t_l) - Rec(t_(l-1)))`` over descending thresholds. Of one image, that of its positions alone.
    Statistics: at each threshold how many positions reach it, and how many of these are the object's, ``(B, T, 2)``.

    Args:
        steps: of the threshold from 0 to 1.
    """

    steps: int = STEPS

    name, higher_is_better, range, needs = "px_ap", True, (0.0, 1.0), ("masks",)
    source = "J. Choe et al., 2020, arXiv:2001.07437"

    def table(self, case: Case) -> Tensor:
        levels = torch.tensor(_thresholds(self.steps), dtype=torch.float64, device=case.maps.device)
        # How many levels each position reaches, and from that how many positions reach each level.
        reached = torch.bucketize(case.unit_maps.flatten(1).double(), levels, right=True)
        masks = object_masks(case).flatten(1)
        counts = []
        for counted in (torch.ones_like(masks), masks):
            exactly = torch.zeros(len(masks), len(levels) + 1, dtype=torch.float64, device=masks.device)
            exactly.scatter_add_(1, reached, counted.double())
            counts.append(exactly.flip(1).cumsum(1).flip(1)[:, 1:])
        unknown = case.constant | without_object(case)
        return torch.where(unknown[:, None, None], torch.nan, torch.stack(counts, 2))

    def of_statistics(self, statistics: Tensor) -> Tensor:
        return _area(statistics)

    def aggregate_known(self, statistics: Tensor) -> Tensor:
        return _area(statistics.sum(0, keepdim=True))[0]


def _area(counts: Tensor) -> Tensor:
    """Return the area of counts ``(n, T, 2)``, thresholds ascending from 0, which all positions reach: ``(n,)``."""
    reached, correct = counts.double().flip(1).unbind(2)
    recalls = correct / correct[:, -1:]
    gains = recalls.diff(dim=1, prepend=torch.zeros_like(recalls[:, :1]))
    return (correct / reached.clamp_min(1) * gains).sum(1)
