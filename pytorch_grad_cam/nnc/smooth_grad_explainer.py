"""SmoothGrad in gray, as published or as the plug-in of Neural Network Console draws it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.maps import resize
from pytorch_grad_cam.nnc import style as nnc_style
from pytorch_grad_cam.nnc.map_request import (
    DrawnMap,
    MapRequest,
    Pixels,
    batch_inputs,
    drawn_maps,
    ready,
    request_targets,
)
from pytorch_grad_cam.nnc.methods import ConsoleNoise, LayerSmoothGrad
from pytorch_grad_cam.smooth_grad import SmoothGrad


class SmoothGradExplainer:
    """Draws SmoothGrad in gray.

    Args:
        model: the network.
        preprocessing: of the network.
        console: as the plug-in draws, at the network's size: squared gradients and NumPy's noise, row after row from
            one seed; else as published, at the image's own.
        noise_level: standard deviation of the noise, as a share of the input's range.
        num_samples: noisy copies per image.
        batch_size: noisy copies per forward pass.
        seed: of the noise.
        layer: where the gradient is taken; None for the input.
        progress: show a bar on stderr.
    """

    def __init__(
        self,
        model: nn.Module,
        preprocessing: Preprocessing,
        console: bool,
        *,
        noise_level: float,
        num_samples: int,
        batch_size: int,
        seed: int,
        layer: nn.Module | None = None,
        progress: bool = False,
    ) -> None:
        self._noise = ConsoleNoise(noise_level, num_samples, seed) if console else None
        options: dict[str, Any] = {"noise_level": noise_level, "num_samples": num_samples, "batch_size": batch_size}
        options |= {"seed": seed, "noise": self._noise}
        self._method: SmoothGrad | LayerSmoothGrad
        if layer is None:
            self._method = SmoothGrad(model, mode="squared" if console else "absolute", progress=progress, **options)
        else:
            self._method = LayerSmoothGrad(model, layer, console, **options)
        self._preprocessing = preprocessing

    def __call__(self, requests: Sequence[MapRequest]) -> list[DrawnMap]:
        """Explain a batch."""
        if self._noise is not None:
            self._noise.expect([request.index for request in requests])
        inputs = batch_inputs(requests, self._preprocessing)
        explanation = self._method.explain(inputs, request_targets(requests))
        raw = resize(explanation.raw[0], inputs.shape[2:]).cpu()  # a layer's gradients are coarser than the input
        if self._noise is not None:
            return drawn_maps(explanation, [ready(gray) for gray in nnc_style.sensitivity(raw).numpy()])
        maps = _capped(raw.numpy())
        drawings = [partial(self._gray, request.image, map) for request, map in zip(requests, maps, strict=True)]
        return drawn_maps(explanation, drawings)

    def _gray(self, image: Pixels, map: NDArray[np.float32]) -> Pixels:
        placed = np.nan_to_num(self._preprocessing.to_picture(map, image.shape[:2]))
        return np.round(255 * placed).astype(np.uint8)


def _capped(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale maps ``(B, H, W)`` to [0, 1]: a few outliers, above the 99th percentile, would leave the rest black."""
    peaks = np.percentile(maps, 99, axis=(1, 2), keepdims=True)
    peaks = np.where(peaks > 0, peaks, maps.max(axis=(1, 2), keepdims=True))
    return np.minimum(maps / np.where(peaks > 0, peaks, 1), 1).astype(np.float32)
