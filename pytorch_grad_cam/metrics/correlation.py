"""Metrics that ask whether what a map says of some positions goes along with what the model loses without them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlate import pearson, spearman
from pytorch_grad_cam.metrics.fills import fill_of
from pytorch_grad_cam.metrics.metric import Metric


def cells_of(size: tuple[int, ...], grid: int) -> Tensor:
    """Return which of ``grid`` cells per axis each position is in: whole numbers ``(*S)`` from 0."""
    cells = torch.zeros(size, dtype=torch.long, device="cpu")
    for axis, length in enumerate(size):
        count = min(grid, length)
        along = torch.arange(length, device="cpu") * count // length
        cells = cells * count + along.reshape([-1 if other == axis else 1 for other in range(len(size))])
    return cells


def drawn_subsets(count: int, size: int, subsets: int, seed: int) -> Tensor:
    """Draw subsets of ``size`` out of ``count``: bool ``(subsets, count)``, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(subsets, count, generator=generator, device="cpu").argsort(1)[:, :size]
    return torch.zeros(subsets, count, dtype=torch.bool, device="cpu").scatter_(1, chosen, True)


def drops_without(case: Case, hidden: Tensor, fill: str, kind: tuple[object, ...]) -> tuple[Tensor, Tensor]:
    """Hide sets of positions, and return what the map says of each, and what the score loses without it.

    Args:
        hidden: bool ``(K, *S)``.
        fill: what stands there.
        kind: what tells these sets from others.

    Returns:
        Sums of the map ``(B, K)`` and drops ``(B, K)``.
    """
    hidden = hidden.to(case.inputs.device)
    filled = fill_of(fill, case.inputs)

    def change(rows: Tensor, versions: Tensor) -> Tensor:
        return torch.where(hidden[versions, None], filled[rows], case.inputs[rows])

    scores = case.scores_of_versions(("hidden", fill, case.seed, *kind), range(len(hidden)), change)
    sums = case.maps.flatten(1).double() @ hidden.flatten(1).double().T
    return sums, case.scores[:, None] - scores


@dataclass(frozen=True)
class FaithfulnessCorrelation(Metric):
    """The correlation, over random sets of cells, of the map's sum there and the drop of the score without them.

    Args:
        grid: cells along each axis.
        share: of the cells that a set hides.
        subsets: how many sets.
        fill: what stands where cells are hidden, see ``metrics.fills``.
        rank: "pearson", or "spearman" as MuFidelity has it.

    A map behind a ReLU has lost what speaks against the class, and with it a part of the correlation.
    """

    grid: int = 9
    share: float = 0.2
    subsets: int = 200
    fill: str = "zero"
    rank: Literal["pearson", "spearman"] = "pearson"

    name, higher_is_better, range, needs = "faithfulness_correlation", True, (-1.0, 1.0), ("model",)
    source = "U. Bhatt et al., 2020, arXiv:2005.00631"

    def measure(self, case: Case) -> Tensor:
        cells = cells_of(tuple(case.maps.shape[1:]), self.grid)
        count = int(cells.max()) + 1
        size = min(max(1, round(self.share * count)), count - 1)
        hidden = drawn_subsets(count, size, self.subsets, case.seed)[:, cells]
        sums, drops = drops_without(case, hidden, self.fill, ("cells", self.grid, self.share, self.subsets))
        return {"pearson": pearson, "spearman": spearman}[self.rank](sums, drops)


@dataclass(frozen=True)
class MuFidelity(FaithfulnessCorrelation):
    """`FaithfulnessCorrelation` of the ranks; the arguments are the same."""

    rank: Literal["pearson", "spearman"] = "spearman"

    name = "mu_fidelity"
    source = "U. Bhatt et al., 2020, arXiv:2005.00631; by ranks as in T. Fel et al., 2021, arXiv:2111.04138"


@dataclass(frozen=True)
class SensitivityN(Metric):
    """The correlation of the map's sum over random sets of ``n`` positions and the drop without them, mean over ``n``.

    Made for attributions whose sum is the score; a map of weighted activations is none.

    Args:
        sizes: how many values of ``n``, from 1 to 80 % of the positions, in equal ratios.
        subsets: sets for each.
        fill: what stands where positions are hidden, see ``metrics.fills``.
    """

    sizes: int = 6
    subsets: int = 100
    fill: str = "zero"

    name, higher_is_better, range, needs = "sensitivity_n", True, (-1.0, 1.0), ("model",)
    source = "M. Ancona et al., 2018, arXiv:1711.06104"

    def curve(self, case: Case) -> tuple[list[int], Tensor]:
        """Return the values of ``n`` and the correlation for each: ``(B, sizes)``."""
        count = case.maps[0].numel()
        top = max(1, math.floor(0.8 * count))
        steps = max(1, self.sizes - 1)
        ns = sorted({max(1, round(top ** (index / steps))) for index in range(self.sizes)})
        columns = []
        for n in ns:
            hidden = drawn_subsets(count, n, self.subsets, case.seed).reshape(-1, *case.maps.shape[1:])
            columns.append(pearson(*drops_without(case, hidden, self.fill, ("positions", n, self.subsets))))
        return ns, torch.stack(columns, 1)

    def measure(self, case: Case) -> Tensor:
        return self.curve(case)[1].nanmean(1)


@dataclass(frozen=True)
class Infidelity(Metric):
    """The squared error of what the map predicts for a change: ``E_I (I . map - (s(x) - s(x - I)))^2``.

    With squares a change takes one square of positions away, and ``I . map`` is the map's sum there: the map says how
    much each position contributes, whatever stands there (the paper's "square", for explanations of this kind). With
    noise the map stands for the gradient of every channel, and ``I`` is Gaussian: a small change takes no place away,
    so this cannot tell where the object is; with the best scale, maps of noise fare as well as an exact mask.

    Without ``scale_free`` the value measures above all how large the map's numbers are: of a map divided by 1000 it is
    smaller. So it compares attributions whose sum is the score, and no maps in [0, 1].

    Args:
        samples: changes ``I``.
        change: "square" or "noise".
        sides: between which shares of each axis the sides of a square lie; drawn evenly.
        fill: what stands in a square, see ``metrics.fills``.
        noise: standard deviation of the noise, as a share of the image's range.
        scale_free: multiply the map by the number ``E(I . map D) / E(I . map)^2`` first, ``D`` the change of the score.
    """

    samples: int = 50
    change: Literal["square", "noise"] = "square"
    sides: tuple[float, float] = (1 / 8, 3 / 8)
    fill: str = "zero"
    noise: float = 0.1
    scale_free: bool = False

    name, higher_is_better, range, needs = "infidelity", False, (0.0, float("inf")), ("model",)
    source = "C.-K. Yeh et al., 2019, arXiv:1901.09392"

    def measure(self, case: Case) -> Tensor:
        if self.change not in ("square", "noise"):
            raise ValueError(f"change={self.change!r} is unknown; choose 'square' or 'noise'")
        along, change_of_score = self._without_squares(case) if self.change == "square" else self._with_noise(case)
        if self.scale_free:
            squares = (along**2).sum(1, keepdim=True)
            along = along * (along * change_of_score).sum(1, keepdim=True) / torch.where(squares > 0, squares, 1)
        return ((along - change_of_score) ** 2).mean(1)

    def _without_squares(self, case: Case) -> tuple[Tensor, Tensor]:
        hidden = drawn_squares(tuple(case.maps.shape[1:]), self.sides, self.samples, case.seed)
        return drops_without(case, hidden, self.fill, ("squares", self.sides, self.samples))

    def _with_noise(self, case: Case) -> tuple[Tensor, Tensor]:
        noise = drawn_noise(case, self.samples)  # (K, C, *S)
        scale = self.noise * image_range(case.inputs)  # (B, 1, ...)

        def change(rows: Tensor, versions: Tensor) -> Tensor:
            return case.inputs[rows] - noise[versions] * scale[rows]

        scores = case.scores_of_versions(("noise", self.noise, self.samples, case.seed), range(self.samples), change)
        along = case.maps.flatten(1).double() @ noise.sum(1).flatten(1).double().T * scale.flatten()[:, None].double()
        return along, case.scores[:, None] - scores


@dataclass(frozen=True)
class ScaleFreeInfidelity(Infidelity):
    """`Infidelity` of the map times the number that suits it best; the arguments are the same.

    A map and its negative have the same value.
    """

    scale_free: bool = True

    name = "infidelity_scale_free"


def drawn_squares(size: tuple[int, ...], sides: tuple[float, float], count: int, seed: int) -> Tensor:
    """Draw squares, of signals pieces, of volumes cubes: bool ``(count, *S)``, the same for the same seed.

    Raises:
        ValueError: for shares that are not in (0, 1], the smaller first.
    """
    low, high = sides
    if not 0 < low <= high <= 1:
        raise ValueError(f"sides={sides} must be two shares of an axis in (0, 1], the smaller one first")
    generator = torch.Generator().manual_seed(seed)
    inside = torch.ones(count, *size, dtype=torch.bool, device="cpu")
    shares = low + (high - low) * torch.rand(count, generator=generator, device="cpu", dtype=torch.float64)
    for axis, length in enumerate(size, 1):
        lengths = (shares * length).round().clamp_min(1)
        starts = torch.rand(count, generator=generator, device="cpu", dtype=torch.float64) * (length - lengths + 1)
        first = starts.floor()[:, None]  # (count, 1)
        along = torch.arange(length, device="cpu")
        between = (along >= first) & (along < first + lengths[:, None])
        inside &= between.reshape(count, *[length if other == axis else 1 for other in range(1, len(size) + 1)])
    return inside


def drawn_noise(case: Case, samples: int) -> Tensor:
    """Draw standard Gaussian noise ``(samples, C, *S)``, the same for every image of a case and for the same seed."""
    generator = torch.Generator().manual_seed(case.seed)
    shape = (samples, *case.inputs.shape[1:])
    return torch.randn(shape, generator=generator, device="cpu").to(case.inputs)


def image_range(inputs: Tensor) -> Tensor:
    """Return the largest minus the smallest value of each image, to broadcast against ``(B, C, *S)``."""
    flat = inputs.flatten(1)
    return (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (inputs.ndim - 1))
