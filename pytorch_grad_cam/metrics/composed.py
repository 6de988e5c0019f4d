"""Metrics that are harmonic means of others: 0 as soon as one of their parts is.

Published tables take the mean of the means over a data set; the mean over images, which ``aggregate`` takes, is never
larger. ``adcc_of_means`` and ``arcc_of_means`` make the published number of the means of the parts, each of which is a
metric of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.complexity import MeanMass
from pytorch_grad_cam.metrics.correlate import pearson
from pytorch_grad_cam.metrics.imputation import Percentiles, RoadCombined
from pytorch_grad_cam.metrics.masking import AverageDrop
from pytorch_grad_cam.metrics.metric import Metric

PERCENTILES = (20.0, 40.0, 60.0, 80.0)  # of ARCC's authors


def harmonic_mean(*parts: Tensor) -> Tensor:
    """Return the harmonic mean of parts in [0, 1], elementwise: 0 where one is 0, NaN where one is NaN."""
    stacked = torch.stack([part.double() for part in parts])
    mean = len(parts) / (1 / stacked).sum(0)  # 1 / 0 is infinity, of which the mean is 0
    return torch.where(stacked.isnan().any(0), torch.nan, mean)


def adcc_of_means(average_drop: float, coherency: float, mean_mass: float) -> float:
    """Return the ADCC of a data set, as published, from the means of its parts, each in [0, 1]."""
    parts = (coherency, 1 - mean_mass, 1 - average_drop)
    return float(harmonic_mean(*[torch.tensor(part, dtype=torch.float64) for part in parts]))


def arcc_of_means(road_combined: float, coherency: float, mean_mass: float) -> float:
    """Return the ARCC of a data set, as published, from the means of its parts."""
    parts = (coherency, 1 - mean_mass, min(max(2 * road_combined, 0.0), 1.0))
    return float(harmonic_mean(*[torch.tensor(part, dtype=torch.float64) for part in parts]))


class Coherency(Metric):
    """How alike the map of an image and that of the image times its map are: ``(rho + 1) / 2``.

    ``rho`` is Pearson's coefficient; the class is the same. Where one of the maps is constant it is 0.
    """

    name, higher_is_better, range, needs = "coherency", True, (0.0, 1.0), ("explain",)
    source = "S. Poppi et al., 2021, arXiv:2104.10252"

    def measure(self, case: Case) -> Tensor:
        masked = case.inputs * case.unit_maps[:, None].to(case.inputs.dtype)
        again = case.explained("masked", masked)
        return ((pearson(again.flatten(1), case.maps.flatten(1)) + 1) / 2).nan_to_num(nan=0.0)


class ADCC(Metric):
    """The harmonic mean of coherency, 1 - mean mass and 1 - average drop, of each image.

    Random maps reach 0.4 to 0.5.
    """

    name, higher_is_better, range, needs = "adcc", True, (0.0, 1.0), ("model", "explain")
    source = "S. Poppi et al., 2021, arXiv:2104.10252"

    def measure(self, case: Case) -> Tensor:
        return harmonic_mean(Coherency().measure(case), 1 - MeanMass().measure(case), 1 - AverageDrop().measure(case))


@dataclass(frozen=True)
class ARCC(Metric):
    """The harmonic mean of coherency, 1 - mean mass and twice ROAD, cut to [0, 1], of each image.

    Args:
        percentiles: of ROAD, which share of the positions stays, in percent.
    """

    percentiles: Percentiles = PERCENTILES

    name, higher_is_better, range, needs = "arcc", True, (0.0, 1.0), ("model", "explain")
    source = "L. Domeniconi et al., 2026, arXiv:2605.14641"

    def measure(self, case: Case) -> Tensor:
        road = (2 * RoadCombined(self.percentiles).measure(case)).clamp(0, 1)
        return harmonic_mean(Coherency().measure(case), 1 - MeanMass().measure(case), road)
