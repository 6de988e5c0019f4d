"""Metrics that explain slightly changed images again: a small change should not turn a map around.

A constant map never changes, so none of these says anything alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlation import image_range
from pytorch_grad_cam.metrics.metric import Metric


def changed_maps(case: Case, samples: int, radius: float) -> tuple[Tensor, Tensor]:
    """Explain images with uniform noise: the same classes, the same noise for every image.

    Args:
        samples: how many changed versions.
        radius: of the noise, the largest change of a value as a share of the image's range.

    Returns:
        Maps ``(samples, B, N)`` float64, and how far each version is from its image, its norm ``(samples, B)``.
    """
    generator = torch.Generator().manual_seed(case.seed)
    shape = case.inputs.shape[1:]
    maps, distances = [], []
    for sample in range(samples):
        noise = 2 * torch.rand(shape, generator=generator, device="cpu").to(case.inputs) - 1
        change = radius * image_range(case.inputs) * noise
        found = case.explained(("noise", radius, case.seed, sample), case.inputs + change)
        maps.append(found.flatten(1).double())
        distances.append(change.flatten(1).double().norm(dim=1))
    return torch.stack(maps), torch.stack(distances)


def _distances(case: Case, maps: Tensor) -> Tensor:
    distances: Tensor = (maps - case.maps.flatten(1).double()).norm(dim=2)
    return distances


def _relative(case: Case, maps: Tensor) -> Tensor:
    lengths: Tensor = case.maps.flatten(1).double().norm(dim=1)
    return _distances(case, maps) / lengths


@dataclass(frozen=True)
class MaxSensitivity(Metric):
    """The largest change of the map, as a share of its norm: ``max_j |map(x + d_j) - map(x)| / |map(x)|``.

    The paper does not divide.

    Args:
        samples: changed versions ``x + d_j``.
        radius: of the uniform noise, as a share of the image's range.
    """

    samples: int = 10
    radius: float = 0.02

    name, higher_is_better, range, needs = "max_sensitivity", False, (0.0, float("inf")), ("explain",)
    source = "C.-K. Yeh et al., 2019, arXiv:1901.09392"

    def measure(self, case: Case) -> Tensor:
        return _relative(case, changed_maps(case, self.samples, self.radius)[0]).amax(0)


@dataclass(frozen=True)
class AverageSensitivity(Metric):
    """The mean change of the map, as a share of its norm; the arguments are those of `MaxSensitivity`."""

    samples: int = 10
    radius: float = 0.02

    name, higher_is_better, range, needs = "average_sensitivity", False, (0.0, float("inf")), ("explain",)
    source = "C.-K. Yeh et al., 2019, arXiv:1901.09392"

    def measure(self, case: Case) -> Tensor:
        return _relative(case, changed_maps(case, self.samples, self.radius)[0]).mean(0)


@dataclass(frozen=True)
class LocalLipschitz(Metric):
    """The largest change of the map for a change of the image of length 1: ``max_j |map(x + d_j) - map(x)| / |d_j|``.

    The arguments are those of `MaxSensitivity`.
    """

    samples: int = 10
    radius: float = 0.02

    name, higher_is_better, range, needs = "local_lipschitz", False, (0.0, float("inf")), ("explain",)
    source = "D. Alvarez-Melis and T. S. Jaakkola, 2018, arXiv:1806.08049"

    def measure(self, case: Case) -> Tensor:
        maps, lengths = changed_maps(case, self.samples, self.radius)
        return (_distances(case, maps) / lengths).amax(0)
