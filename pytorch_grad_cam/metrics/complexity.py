"""Metrics of the map alone: how much it marks, and how far that is spread. They know neither image nor network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import Metric


def _sizes(case: Case) -> Tensor:
    """Return the absolute values of the maps, one row each: ``(B, N)`` float64."""
    return case.maps.flatten(1).double().abs()


class MeanMass(Metric):
    """The mean of the map, scaled to [0, 1]: ``|M|_1 / N``."""

    name, higher_is_better, range, needs = "mean_mass", False, (0.0, 1.0), ()
    source = "S. Poppi et al., 2021, arXiv:2104.10252 (there: complexity)"

    def measure(self, case: Case) -> Tensor:
        return case.unit_maps.flatten(1).double().mean(1)


class Entropy(Metric):
    """The entropy of the map's shares, in nats: ``-sum_i p_i ln p_i``, ``p = |map| / sum |map|``; at most ``ln N``."""

    name, higher_is_better, range, needs = "entropy", False, (0.0, float("inf")), ()
    source = "U. Bhatt et al., 2020, arXiv:2005.00631 (there: complexity)"

    def measure(self, case: Case) -> Tensor:
        sizes = _sizes(case)
        shares = sizes / sizes.sum(1, keepdim=True)
        return -torch.xlogy(shares, shares).sum(1)


class Gini(Metric):
    """The Gini index of the map's absolute values: 0 for one value everywhere, ``(N - 1) / N`` for a single position.

    ``sum_i (2 i - N - 1) a_(i) / (N sum a)`` of the values in ascending order.
    """

    name, higher_is_better, range, needs = "gini", True, (0.0, 1.0), ()
    source = "P. Chalasani et al., 2020, arXiv:1810.06583 (there: sparseness)"

    def measure(self, case: Case) -> Tensor:
        ordered = _sizes(case).sort(1).values
        count = ordered.shape[1]
        weights = 2 * torch.arange(1, count + 1, device=ordered.device, dtype=torch.float64) - count - 1
        return ((weights * ordered).sum(1) / (count * ordered.sum(1))).clamp_min(0)  # not below by rounding


@dataclass(frozen=True)
class EffectiveComplexity(Metric):
    """How many positions have more than a share of the largest absolute value.

    Args:
        share: from which on a position counts.
    """

    share: float = 0.01

    name, higher_is_better, range, needs = "effective_complexity", False, (0.0, float("inf")), ()
    source = "A. Nguyen and M. R. Martinez, 2020, arXiv:2007.07584"

    def measure(self, case: Case) -> Tensor:
        sizes = _sizes(case)
        return (sizes > self.share * sizes.amax(1, keepdim=True)).sum(1).double()
