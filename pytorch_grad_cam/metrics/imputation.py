"""ROAD, Remove and Debias: take positions away in the order of the map, and fill the holes inconspicuously.

A missing position is the weighted mean of its neighbours, missing or not, plus a little noise. Only the order of a map
matters, so a constant map has no ROAD. ``metrics.road`` has the same as the package grad-cam has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import per_image, working_precision
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.grid_solver import fill_missing
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.perturbation_confidence import DECILES
from pytorch_grad_cam.metrics.road import neighbour_weights

Percentiles = tuple[float, ...]
# Of an image's range, as the solver estimates it; really 2e-4 at most, and that is a tenth of the noise.
NEAR = 1e-3


def imputed_scores(case: Case, percentiles: Percentiles, *, least_first: bool, noise: float) -> Tensor:
    """Score the images with their most, or least, relevant positions filled: ``(B, K)``.

    Args:
        percentiles: which share of the ``N`` positions stays, in percent: ``ceil(percentile / 100 (N - 1))``.
        least_first: take away the least relevant positions instead of the most relevant ones.
        noise: standard deviation of what is added to filled positions, in units of the input.

    Raises:
        ValueError: for no percentile, or one outside of 0 to 100.
    """
    if not percentiles or not all(0 <= percentile <= 100 for percentile in percentiles):
        raise ValueError(f"percentiles must be one or more numbers from 0 to 100, not {percentiles!r}")
    places = case.maps[0].numel()
    kept = [places if each == 100 else math.ceil(each * (places - 1) / 100) for each in percentiles]
    removed = torch.tensor([places - count for count in kept], device=case.inputs.device)
    ranks = places - 1 - case.ranks if least_first else case.ranks
    weights = dict(neighbour_weights(ranks.ndim - 1))
    generator = torch.Generator().manual_seed(case.seed)
    drawn = torch.randn(case.inputs.shape[1:], generator=generator, dtype=torch.float64, device="cpu")
    added = noise * drawn.to(working_precision(case.inputs))  # the same for every image and version

    def change(rows: Tensor, versions: Tensor) -> Tensor:
        missing = ranks[rows] < per_image(removed[versions], ranks)
        filled = fill_missing(working_precision(case.inputs[rows]), missing, weights, NEAR)
        return filled.addcmul_(missing[:, None].to(filled), added)

    return case.scores_of_versions(("imputed", least_first, noise), kept, change)


def _change(case: Case, percentiles: Percentiles, least_first: bool, noise: float) -> Tensor:
    scores = imputed_scores(case, percentiles, least_first=least_first, noise=noise)
    return torch.where(case.constant, torch.nan, scores.mean(1) - case.scores)


@dataclass(frozen=True)
class RoadMoRF(Metric):
    """The change of the score without the most relevant positions, mean over percentiles.

    Args:
        percentiles: which share of the positions stays, in percent.
        noise: of filled positions, a standard deviation in units of the input.
    """

    percentiles: Percentiles = tuple(DECILES)
    noise: float = 0.01

    name, higher_is_better, range, needs = "road_morf", False, (-1.0, 1.0), ("model",)
    source = "Y. Rong et al., 2022, arXiv:2202.00449"

    def measure(self, case: Case) -> Tensor:
        return _change(case, self.percentiles, False, self.noise)


@dataclass(frozen=True)
class RoadLeRF(Metric):
    """The change of the score without the least relevant positions; the arguments are those of `RoadMoRF`."""

    percentiles: Percentiles = tuple(DECILES)
    noise: float = 0.01

    name, higher_is_better, range, needs = "road_lerf", True, (-1.0, 1.0), ("model",)
    source = "Y. Rong et al., 2022, arXiv:2202.00449"

    def measure(self, case: Case) -> Tensor:
        return _change(case, self.percentiles, True, self.noise)


@dataclass(frozen=True)
class RoadCombined(Metric):
    """Half of what lies between the two orders, ``(LeRF - MoRF) / 2``; the arguments are those of `RoadMoRF`.

    A map without information is near 0.
    """

    percentiles: Percentiles = tuple(DECILES)
    noise: float = 0.01

    name, higher_is_better, range, needs = "road_combined", True, (-0.5, 0.5), ("model",)
    source = "Y. Rong et al., 2022, arXiv:2202.00449"

    def measure(self, case: Case) -> Tensor:
        most, least = (_change(case, self.percentiles, order, self.noise) for order in (False, True))
        return (least - most) / 2
