"""ROAD, Remove and Debias: metrics that remove pixels in the order of a map and fill the holes inconspicuously.

Source: Y. Rong, T. Leemann, V. Borisov, G. Kasneci, E. Kasneci, 2022, "A Consistent and Efficient Evaluation Strategy
    for Attribution Methods", arXiv:2202.00449.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.metrics.grid_solver import Offset, fill_missing
from pytorch_grad_cam.metrics.perturbation_confidence import (
    DECILES,
    AveragerAcrossThresholds,
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.scores import Model, fixed_targets
from pytorch_grad_cam.targets.classification import Targets

Percentile = float | Literal["auto"]


def neighbour_weights(axes: int) -> list[tuple[Offset, float]]:
    """Weigh the neighbours in each direction by products of (1, 2, 1).

    In two dimensions these are the paper's 1/6 beside and 1/12 across; in one dimension 1/2, which interpolates
    linearly.
    """
    offsets = [offset for offset in product((-1, 0, 1), repeat=axes) if any(offset)]
    parts = [2 ** offset.count(0) for offset in offsets]
    return [(offset, part / sum(parts)) for offset, part in zip(offsets, parts, strict=True)]


neighbors_weights = neighbour_weights(2)


class NoisyLinearImputer:
    """Replace missing pixels by the weighted mean of their neighbours, missing or not, plus a little noise.

    For all missing pixels at once ``sum_j w_j (u_i - u_j) = 0`` over the neighbours ``j`` inside the image, channel by
    channel; then Gaussian noise is added to them. If every pixel is missing, all are 0 (plus noise).

    Args:
        noise: its standard deviation, in units of the input; 0 for none. The paper's 0.01 is meant for pixels in
            [0, 1]; after normalisation by a standard deviation of 0.225 it is smaller in effect.
        weighting: offset and weight of each neighbour, symmetric. Images with another number of axes than two get
            the same pattern in their dimension, unless a weighting of their own is given.
        seed: of the noise, which is the same for every image and call.

    Raises:
        ValueError: for weights that are negative or not the same in opposite directions.
    """

    def __init__(
        self, noise: float = 0.01, weighting: Sequence[tuple[Offset, float]] = neighbors_weights, *, seed: int = 0
    ) -> None:
        if not noise >= 0:
            raise ValueError(f"noise is a standard deviation, 0 or more, not {noise}")
        _weights_by_offset(weighting)
        self.noise = noise
        self.weighting = weighting
        self.seed = seed

    def __call__(self, img: Tensor, mask: Tensor) -> Tensor:
        """Fill one image.

        Args:
            img: ``(C, *S)``; it is not changed.
            mask: ``(*S)``, 0 where a pixel is missing.

        Returns:
            ``(C, *S)``, of the same type and on the same device.
        """
        if img.shape[1:] != mask.shape:
            raise ValueError(f"the mask {tuple(mask.shape)} is not of the size of the image {tuple(img.shape)}")
        weighting = self.weighting
        if mask.ndim != 2 and weighting is neighbors_weights:
            weighting = neighbour_weights(mask.ndim)
        missing = (mask.detach() == 0).cpu()
        if not bool(missing.any()):
            return img.detach().clone()
        weights = _weights_by_offset(weighting, mask.ndim)
        filled = fill_missing(img.detach().cpu().double()[None], missing[None], weights)[0]
        generator = torch.Generator().manual_seed(self.seed)
        noise = self.noise * torch.randn(filled.shape, generator=generator, dtype=filled.dtype, device="cpu")
        return torch.where(missing, filled + noise, filled).to(img)


class ROADMostRelevantFirst(PerturbationConfidenceMetric):
    """The change of the score when the most relevant pixels are removed; lower is better.

    Args:
        percentile: the share that stays, in percent: 80 removes the most relevant 20 %; or "auto".
        seed: of the noise, and of the order among equal values.
    """

    def __init__(self, percentile: Percentile = 80, *, seed: int = 0) -> None:
        super().__init__(RemoveMostRelevantFirst(percentile, NoisyLinearImputer(seed=seed), seed=seed))


class ROADLeastRelevantFirst(PerturbationConfidenceMetric):
    """The change of the score when the least relevant pixels are removed; higher is better.

    Args:
        percentile: the share that stays, in percent: 20 removes the least relevant 80 %; or "auto".
        seed: of the noise, and of the order among equal values.
    """

    def __init__(self, percentile: Percentile = 20, *, seed: int = 0) -> None:
        super().__init__(RemoveLeastRelevantFirst(percentile, NoisyLinearImputer(seed=seed), seed=seed))


class ROADMostRelevantFirstAverage(AveragerAcrossThresholds):
    """`ROADMostRelevantFirst`, averaged over percentiles."""

    def __init__(self, percentiles: Sequence[float] = DECILES, *, seed: int = 0) -> None:
        super().__init__(partial(ROADMostRelevantFirst, seed=seed), percentiles)


class ROADLeastRelevantFirstAverage(AveragerAcrossThresholds):
    """`ROADLeastRelevantFirst`, averaged over percentiles."""

    def __init__(self, percentiles: Sequence[float] = DECILES, *, seed: int = 0) -> None:
        super().__init__(partial(ROADLeastRelevantFirst, seed=seed), percentiles)


class ROADCombined:
    """Half the difference of the two averages, ``(least - most relevant first) / 2``; higher is better.

    With probabilities as targets it lies in [-0.5, 0.5]; a map without information is near 0.

    Args:
        percentiles: in percent.
        seed: of the noise, and of the order among equal values.
    """

    def __init__(self, percentiles: Sequence[float] = DECILES, *, seed: int = 0) -> None:
        self.percentiles = list(percentiles)
        self.morf_averager = ROADMostRelevantFirstAverage(percentiles, seed=seed)
        self.lerf_averager = ROADLeastRelevantFirstAverage(percentiles, seed=seed)

    def __call__(self, input_tensor: Tensor, cams: Any, targets: Targets, model: Model) -> NDArray[np.float32]:
        """Measure a batch; the arguments are those of `PerturbationConfidenceMetric`.

        Returns:
            float32 ``(B,)``.
        """
        fixed = fixed_targets(model, input_tensor, targets)
        least = self.lerf_averager(input_tensor, cams, fixed, model)
        most = self.morf_averager(input_tensor, cams, fixed, model)
        combined: NDArray[np.float32] = np.float32(0.5) * (least - most)
        return combined


def _weights_by_offset(weighting: Sequence[tuple[Offset, float]], axes: int | None = None) -> dict[Offset, float]:
    """Return the weights by offset, or say what is wrong with them."""
    weights = {tuple(offset): float(weight) for offset, weight in weighting}
    for offset, weight in weights.items():
        if weight < 0 or weights.get(tuple(-step for step in offset)) != weight or not any(offset):
            raise ValueError(
                f"the weight {weight} of the neighbour at {offset} cannot be used: weights are 0 or more, the same at "
                "the opposite offset, and a pixel is not its own neighbour"
            )
        if axes is not None and len(offset) != axes:
            raise ValueError(f"the offset {offset} has {len(offset)} axes, the image {axes}; give another weighting")
    return weights
