"""Metrics that change an image as its map says, and measure how its score changes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.engine.boxes import mask_from_map
from pytorch_grad_cam.engine.maps import is_constant
from pytorch_grad_cam.metrics.scores import Model, checked_maps, fixed_targets, inputs_for, outputs_of, scores_from
from pytorch_grad_cam.targets.classification import Targets

Perturbation = Callable[[Tensor, Tensor], Tensor]
Imputer = Callable[[Tensor, Tensor], Tensor]

# Percentiles over which the averages go by default; never changed in place.
DECILES = [10, 20, 30, 40, 50, 60, 70, 80, 90]


class PerturbationConfidenceMetric:
    """The change of the score when each image is changed by its map: positive where the score rises.

    Args:
        perturbation: from one image ``(C, *S)`` and its map ``(*S)``, both on the CPU, to the changed image.
    """

    def __init__(self, perturbation: Perturbation) -> None:
        self.perturbation = perturbation

    @property
    def is_difference(self) -> bool:
        """Whether the metric is the plain difference of two scores; a subclass may make something else of them."""
        return type(self).__call__ is PerturbationConfidenceMetric.__call__

    def __call__(
        self,
        input_tensor: Tensor,
        cams: Any,
        targets: Targets,
        model: Model,
        return_visualization: bool = False,
        return_diff: bool = True,
    ) -> Any:
        """Measure a batch. The model runs in evaluation mode and stays as it is, and so do the arguments.

        Args:
            input_tensor: ``(B, C, *S)``.
            cams: the maps, array or tensor ``(B, *S)``.
            targets: what is scored: one callable per image or, as for ``BaseCAM``, None, a class, or classes. The top
                class is that of the unchanged image. Softmax probabilities (``ClassifierOutputSoftmaxTarget``) are
                the usual choice; logits are unbounded.
            model: a network, or any callable from a batch to outputs.
            return_visualization: return the changed images, too.
            return_diff: False: the score of the changed image instead of the difference.

        Returns:
            float32 ``(B,)``; with ``return_visualization`` a pair of that and the changed images ``(B, C, *S)``.

        Raises:
            ValueError: if maps or targets do not go with the images, or values are not finite.
        """
        maps = checked_maps(cams, input_tensor)
        inputs = inputs_for(model, input_tensor)
        fixed = fixed_targets(model, input_tensor, targets)
        changed = torch.stack(
            [self.perturbation(image, map).to(inputs) for image, map in zip(inputs.cpu().clone(), maps, strict=True)]
        )  # (B, C, *S)
        result = scores_from(outputs_of(model, changed), fixed)
        if return_diff:
            result = result - scores_from(outputs_of(model, inputs), fixed)
        return (result, changed.to(input_tensor.device)) if return_visualization else result


class RemoveMostRelevantFirst:
    """Remove the pixels that a map values most, and let an imputer fill the holes.

    The number of pixels is exact, also where many have the same value, as after a ReLU: these are taken in a random
    order that follows from ``seed``. Of ``N`` pixels ``ceil(percentile / 100 * (N - 1))`` stay, those below the
    percentile of a map without equal values.

    Args:
        percentile: share of the pixels that stay, in percent, 0 to 100; or "auto": what Otsu's threshold finds to be
            the hot part of the map is removed.
        imputer: from the image ``(C, *S)`` and a float mask ``(*S)``, 1 where a pixel stays and 0 where it is
            missing, to the filled image.
        seed: of the order among equal values.

    Raises:
        ValueError: for another percentile.

    Note:
        Under "auto" grad-cam keeps the hot part and removes the rest, and it removes all of a plateau at once.
    """

    _most_first = True

    def __init__(self, percentile: float | Literal["auto"], imputer: Imputer, *, seed: int = 0) -> None:
        if percentile != "auto" and not (isinstance(percentile, (int, float, np.number)) and 0 <= percentile <= 100):
            raise ValueError(f"percentile must be a number from 0 to 100, or 'auto', not {percentile!r}")
        self.percentile = percentile
        self.imputer = imputer
        self.seed = seed

    def __call__(self, input_tensor: Tensor, mask: Tensor) -> Tensor:
        """Change one image.

        Args:
            input_tensor: ``(C, *S)``.
            mask: its map, ``(*S)``.

        Returns:
            ``(C, *S)``.
        """
        if bool(is_constant(mask[None])):
            warnings.warn("a map is constant: which pixels are removed is random", UserWarning, stacklevel=2)
        if self.percentile == "auto":
            kept = _hot_pixels(mask) != self._most_first
        else:
            order = ascending(mask, self.seed)
            order = order if self._most_first else order.flip(0)  # those that stay longest first
            percentile, count = float(self.percentile), mask.numel()
            kept = torch.zeros(count, dtype=torch.bool, device="cpu")
            kept[order[: count if percentile == 100 else math.ceil(percentile * (count - 1) / 100)]] = True
        return self.imputer(input_tensor, kept.reshape(mask.shape).to(mask.device, torch.float32))


class RemoveLeastRelevantFirst(RemoveMostRelevantFirst):
    """Remove the pixels that a map values least; all else is as in `RemoveMostRelevantFirst`.

    ``percentile`` is again the share that stays: 20 removes the least relevant 80 %. "auto" removes what is not hot.
    """

    _most_first = False


class AveragerAcrossThresholds:
    """The mean of a metric over several percentiles.

    Args:
        imputer: from a percentile to a metric that takes (input_tensor, cams, targets, model).
        percentiles: in percent.
    """

    def __init__(self, imputer: Callable[[Any], Callable[..., Any]], percentiles: Sequence[float] = DECILES) -> None:
        self.imputer = imputer
        self.percentiles = list(percentiles)

    def __call__(self, input_tensor: Tensor, cams: Any, targets: Targets, model: Model) -> NDArray[np.float32]:
        """Measure a batch; the arguments are those of `PerturbationConfidenceMetric`.

        Returns:
            float32 ``(B,)``.
        """
        metrics = [self.imputer(percentile) for percentile in self.percentiles]
        fixed = fixed_targets(model, input_tensor, targets)
        # The score of the unchanged images is the same for all percentiles.
        shared = all(isinstance(metric, PerturbationConfidenceMetric) and metric.is_difference for metric in metrics)
        options = {"return_diff": False} if shared else {}
        values = np.stack([metric(input_tensor, cams, fixed, model, **options) for metric in metrics])
        mean: NDArray[np.float32] = values.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean - scores_from(outputs_of(model, inputs_for(model, input_tensor)), fixed) if shared else mean


def ascending(map: Tensor, seed: int) -> Tensor:
    """Return the positions of a map's values in ascending order, equal ones in a random order that the seed fixes."""
    flat = map.detach().cpu().flatten()
    shuffled = torch.randperm(len(flat), generator=torch.Generator().manual_seed(seed), device="cpu")
    return shuffled[flat[shuffled].argsort(stable=True)]


def _hot_pixels(map: Tensor) -> Tensor:
    """Return which pixels are hot: those above Otsu's threshold, bool ``(*S)``."""
    values = (map - map.min()).detach().cpu().reshape(1, -1)  # the threshold depends on the values alone
    return torch.from_numpy(mask_from_map(values, "otsu")).reshape(map.shape)
