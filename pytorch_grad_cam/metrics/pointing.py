"""Metrics of whether a map points at the object: by its highest place, by its sum, and by its order.

They need masks, or boxes, which are then filled. Where no object is known nothing can be judged. What looks at the
order of a map cannot judge a constant one; for what looks at its sum, that one has the object's share of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import per_image
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlate import average_ranks
from pytorch_grad_cam.metrics.localisation import energy_inside, pointing_hits
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.objects import object_masks, without_object

PAPER_SIZE = 224  # positions of the shorter side at which the pointing game's tolerance is given


def _judged(case: Case, values: Tensor) -> Tensor:
    """Put NaN where there is no object or no order."""
    return torch.where(case.constant | without_object(case), torch.nan, values)


@dataclass(frozen=True)
class PointingGame(Metric):
    """Whether the highest place of the map is the object's, or close by: 1 or 0.

    Of equally high places one counts, drawn by the seed. Whoever guesses the middle hits, too, in most photos: compare
    with the reference map of that name.

    Args:
        tolerance: how far away still hits, in positions of an image whose shorter side has 224; of another size, as
            many as are the same share of that side. 0: only the object itself.
    """

    tolerance: float = 15.0

    name, higher_is_better, range, needs = "pointing_game", True, (0.0, 1.0), ("masks",)
    source = "J. Zhang et al., 2018, Excitation Backprop, arXiv:1608.00507 (there: mean of the classes' accuracies)"

    def measure(self, case: Case) -> Tensor:
        if self.tolerance < 0:
            raise ValueError(f"tolerance={self.tolerance} must be 0 or more")
        tolerance = self.tolerance * min(case.maps.shape[1:]) / PAPER_SIZE
        hits = pointing_hits(case.ranks == 0, object_masks(case), tolerance)
        return _judged(case, torch.from_numpy(hits).to(case.maps.device))


def _share_inside(case: Case, masks: Tensor) -> Tensor:
    return torch.from_numpy(energy_inside(case.maps, masks)).to(case.maps.device, torch.float64)


def _size(masks: Tensor) -> Tensor:
    """Return the share of the image that is the object's: ``(B,)`` float64."""
    return masks.flatten(1).double().mean(1)


@dataclass(frozen=True)
class EnergyInside(Metric):
    """The share of the map's positive values that lies in the object's boxes; in its mask where there are none.

    Of a map of ones it is the share of the image that the object covers, so large objects have large values.

    Args:
        largest: objects that cover more than this share of the image are not judged; 0.5 in the paper's protocol.
    """

    largest: float = 1.0

    name, higher_is_better, range, needs = "energy_inside", True, (0.0, 1.0), ("masks",)
    source = "H. Wang et al., 2020, Score-CAM, arXiv:1910.01279 (there: energy-based pointing game)"

    def measure(self, case: Case) -> Tensor:
        masks = object_masks(case, of_boxes=True)
        return torch.where(_size(masks) > self.largest, torch.nan, _share_inside(case, masks))


class EnergyToChance(Metric):
    """`EnergyInside` by that of a map of ones: 1 is chance, whatever the object's size."""

    name, higher_is_better, range, needs = "energy_to_chance", True, (0.0, float("inf")), ("masks",)
    source = "M. Kohlbrenner et al., 2020, arXiv:1910.09840 (there: weighted attribution localisation)"

    def measure(self, case: Case) -> Tensor:
        masks = object_masks(case, of_boxes=True)
        return _share_inside(case, masks) / _size(masks)


class MassAccuracy(Metric):
    """The share of the map's positive values that lies in the object's mask; in its boxes where there is none."""

    name, higher_is_better, range, needs = "mass_accuracy", True, (0.0, 1.0), ("masks",)
    source = "L. Arras et al., 2022, CLEVR-XAI, arXiv:2003.07258 (there: relevance mass accuracy)"

    def measure(self, case: Case) -> Tensor:
        return _share_inside(case, object_masks(case))


def _hits_on_top(case: Case, counts: Tensor) -> Tensor:
    """Count how many of the so many highest places ``(B,)`` are the object's: ``(B,)`` float64."""
    top = case.ranks < per_image(counts, case.ranks)
    return (top & object_masks(case)).flatten(1).sum(1).double()


class RankAccuracy(Metric):
    """How many of the highest places are the object's, of as many as the object has; the order of ties is drawn."""

    name, higher_is_better, range, needs = "rank_accuracy", True, (0.0, 1.0), ("masks",)
    source = "L. Arras et al., 2022, CLEVR-XAI, arXiv:2003.07258 (there: relevance rank accuracy)"

    def measure(self, case: Case) -> Tensor:
        counts = object_masks(case).flatten(1).sum(1)
        return _judged(case, _hits_on_top(case, counts) / counts.clamp_min(1))


@dataclass(frozen=True)
class TopK(Metric):
    """How many of the ``k`` highest places are the object's, as a share of ``k``; the order of ties is drawn.

    An image with no more than ``k`` positions cannot be judged.

    Args:
        k: how many.
    """

    k: int = 1000

    name, higher_is_better, range, needs = "top_k", True, (0.0, 1.0), ("masks",)
    source = "J. Theiner et al., 2022, arXiv:2104.14995 (there: top-k intersection)"

    def measure(self, case: Case) -> Tensor:
        if self.k < 1:
            raise ValueError(f"k={self.k} must be 1 or more")
        counts = torch.full((len(case.maps),), self.k, device=case.maps.device)
        values = _judged(case, _hits_on_top(case, counts) / self.k)
        return values if case.maps[0].numel() > self.k else torch.full_like(values, torch.nan)


class RocAuc(Metric):
    """How likely a place of the object is higher than one beside it: the area under the ROC curve; 0.5 is chance.

    Equal values count half. Most of an image is easy background, which makes this large.
    """

    name, higher_is_better, range, needs = "roc_auc", True, (0.0, 1.0), ("masks",)
    source = "T. Fawcett, 2006, doi:10.1016/j.patrec.2005.10.010"

    def measure(self, case: Case) -> Tensor:
        inside = object_masks(case).flatten(1)
        own, others = inside.sum(1).double(), (~inside).sum(1).double()
        above = (average_ranks(case.maps.flatten(1)) * inside).sum(1) - own * (own - 1) / 2
        return torch.where(others > 0, _judged(case, above / (own * others)), torch.nan)


class AveragePrecision(Metric):
    """The area under precision against recall of the map as a finder of the object's places; stricter than ROC.

    ``sum_l Prec(t_l) (Rec(t_l) - Rec(t_(l-1)))`` over the map's own values, descending. Chance is the object's share.
    """

    name, higher_is_better, range, needs = "average_precision", True, (0.0, 1.0), ("masks",)
    source = "M. Everingham et al., 2010, doi:10.1007/s11263-009-0275-4; as a sum: J. Choe et al., arXiv:2007.04178"

    def measure(self, case: Case) -> Tensor:
        inside = object_masks(case).flatten(1)
        ordered, order = case.maps.flatten(1).sort(1, descending=True)
        hits = inside.gather(1, order)
        places = torch.arange(1, hits.shape[1] + 1, device=hits.device, dtype=torch.float64)
        # Equal values have the same threshold: of each, its last place has the precision.
        last = torch.ones_like(hits)
        last[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
        ends = torch.where(last, places, torch.inf).flip(1).cummin(1).values.flip(1)  # (B, N), counted from 1
        found = hits.cumsum(1).double().gather(1, ends.clamp_max(hits.shape[1]).long() - 1)
        return _judged(case, (hits * found / ends).sum(1) / inside.sum(1).clamp_min(1))
