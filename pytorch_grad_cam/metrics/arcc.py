"""ARCC, a metric of maps that combines complexity, coherency and ROAD in one number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.engine.arrays import to_numpy
from pytorch_grad_cam.engine.maps import is_constant
from pytorch_grad_cam.metrics.cam_mult_image import multiply_tensor_with_cam
from pytorch_grad_cam.metrics.road import ROADCombined
from pytorch_grad_cam.metrics.scores import Model, checked_maps, fixed_targets
from pytorch_grad_cam.targets.classification import Targets

_PERCENTILES = [20, 40, 60, 80]


def batch_pearson_coherency(A: Any, B: Any) -> NDArray[np.float32]:  # noqa: N803 - the names are the contract
    """Correlate the maps of two batches, image by image.

    Args:
        A, B: ``(B, *S)``, arrays.

    Returns:
        float32 ``(B,)`` in [-1, 1], Pearson's coefficient; NaN where a map is constant.
    """
    a, b = (torch.from_numpy(to_numpy(maps).astype(np.float64)).flatten(1) for maps in (A, B))
    undefined = is_constant(a) | is_constant(b)
    a, b = (maps - maps.mean(1, keepdim=True) for maps in (a, b))
    scale = a.norm(dim=1) * b.norm(dim=1)
    coefficients = torch.where(undefined, torch.nan, (a * b).sum(1) / torch.where(undefined, 1, scale))
    result: NDArray[np.float32] = coefficients.clamp(-1, 1).float().numpy()
    return result


class Complexity:
    """The mean of a map's absolute values: 0 for an empty map, 1 for one that marks everything; lower is better.

    Source: S. Poppi, M. Cornia, L. Baraldi, R. Cucchiara, 2021, "Revisiting The Evaluation of Class Activation Mapping
        for Explainability: A Novel Metric and Experimental Analysis", arXiv:2104.10252.
    """

    def __call__(self, grayscale_cams: Any) -> NDArray[np.float32]:
        """Measure maps ``(B, *S)`` in [0, 1]; returns float32 ``(B,)``."""
        maps = np.abs(to_numpy(grayscale_cams))
        mean: NDArray[np.float32] = maps.reshape(len(maps), -1).mean(1, dtype=np.float64).astype(np.float32)
        return mean


class Coherency:
    """How alike the map of an image and that of the image times its map are: ``(rho + 1) / 2``; higher is better.

    ``rho`` is Pearson's coefficient. If one of the maps is constant there is none, and the coherency is 0.

    Source: as for `Complexity`.
    """

    def __call__(
        self, input_tensor: Tensor, grayscale_cams: Any, targets: Targets, model: Model, base_method: Callable[..., Any]
    ) -> NDArray[np.float32]:
        """Measure a batch.

        Args:
            input_tensor: ``(B, C, *S)``.
            grayscale_cams: its maps, ``(B, *S)``.
            targets: as for `PerturbationConfidenceMetric`; the same for both maps.
            model: the network; asked only for the top classes, if ``targets`` is None.
            base_method: what made the maps: called with ``input_tensor`` and ``targets``, it returns ``(B, *S)``.

        Returns:
            float32 ``(B,)`` in [0, 1].
        """
        maps = checked_maps(grayscale_cams, input_tensor)
        fixed = fixed_targets(model, input_tensor, targets)
        images = input_tensor.detach()
        mixed = multiply_tensor_with_cam(images, maps[:, None].to(images))
        rho = batch_pearson_coherency(base_method(input_tensor=mixed, targets=fixed), maps)
        coherency: NDArray[np.float32] = np.nan_to_num((rho + 1) / 2, nan=0.0)
        return coherency


class ARCC:
    """The harmonic mean of coherency, 1 - complexity and twice ROAD, cut to [0, 1]; higher is better.

    It is 0 as soon as one of them is. The range of ROAD needs probabilities as targets, such as
    ``ClassifierOutputSoftmaxTarget``.

    Args:
        base_method: what made the maps; see `Coherency`.
        road_percentiles: of `ROADCombined`.
        seed: of `ROADCombined`.

    Source: L. Domeniconi, A. Stramiglio, M. Lombardi, S. Salti, 2026, "How to Evaluate and Refine your CAM",
        arXiv:2605.14641.
    """

    def __init__(
        self, base_method: Callable[..., Any], road_percentiles: Sequence[float] = _PERCENTILES, *, seed: int = 0
    ) -> None:
        self.complexity = Complexity()
        self.coherency = Coherency()
        self.road = ROADCombined(percentiles=road_percentiles, seed=seed)
        self.base_method = base_method

    def __call__(
        self, input_tensor: Tensor, grayscale_cams: Any, targets: Targets, model: Model
    ) -> NDArray[np.float32]:
        """Measure a batch; the arguments are those of `PerturbationConfidenceMetric`.

        Returns:
            float32 ``(B,)`` in [0, 1].
        """
        fixed = fixed_targets(model, input_tensor, targets)
        maps = checked_maps(grayscale_cams, input_tensor).numpy()
        parts = np.stack(
            [
                self.coherency(input_tensor, maps, fixed, model, self.base_method),
                1 - self.complexity(maps),
                np.clip(2 * self.road(input_tensor, maps, fixed, model), 0, 1),
            ]
        ).astype(np.float64)  # (3, B)
        positive = (parts > 0).all(0)
        mean = 3 / (1 / np.where(positive, parts, 1)).sum(0)
        result: NDArray[np.float32] = np.where(positive, mean, 0).astype(np.float32)
        return result
