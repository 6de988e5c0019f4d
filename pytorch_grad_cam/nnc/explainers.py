"""What draws a map of each image of a batch: Grad-CAM or SmoothGrad, as published or as the console's plug-ins do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.maps import is_constant, resize
from pytorch_grad_cam.engine.restore import giving_back, hooked, undisturbed
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.nnc import style as nnc_style
from pytorch_grad_cam.nnc.methods import ChannelReluGradCAM, ConsoleNoise, LayerSmoothGrad
from pytorch_grad_cam.runs.inputs import BatchPreprocessing
from pytorch_grad_cam.smooth_grad import SmoothGrad
from pytorch_grad_cam.visualization.overlay import show_cam_on_image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class MapRequest:
    """One image and the class to explain."""

    index: int  # number of the row, 0 for a single image; noise is drawn by it
    image: Pixels  # RGB (H, W, 3)
    inputs: Tensor | None  # what the network takes, (C, h, w); None if it takes the image as it is
    category: int

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of what the network takes."""
        height, width = self.image.shape[:2] if self.inputs is None else self.inputs.shape[1:]
        return height, width


@dataclass(frozen=True)
class DrawnMap:
    """The map of one request."""

    draw: Callable[[], Pixels]  # makes the picture, RGB (H, W, 3) or gray (H, W), or returns it if it is drawn already
    notes: tuple[str, ...]  # why the map means nothing; mostly none
    score: float  # that was explained


class BatchExplainer(Protocol):
    """Explains a batch of images whose inputs have one size."""

    def __call__(self, requests: Sequence[MapRequest]) -> list[DrawnMap]: ...


def explain_by_size(explainer: BatchExplainer, requests: Sequence[MapRequest]) -> list[DrawnMap]:
    """Explain images whose inputs differ in size, as they may where a network does not say which it takes."""
    groups = groupby(requests, lambda request: request.input_size)
    return [drawn for _, alike in groups for drawn in explainer(list(alike))]


class GradCAMExplainer:
    """Draws Grad-CAM over images: as published and at their own size, or as the plug-in does and at the network's.

    Args:
        model, layers, reshape: as for ``GradCAM``.
        preprocessing: of the network.
        console: draw as the plug-in does.
        contains_crop: the network cuts its input first, so the map covers what the first convolution sees.

    Raises:
        ValueError: for layers the network does not have, and for several in the plug-in's style.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[nn.Module | str] | None,
        reshape: Callable[[Tensor], Tensor] | None,
        preprocessing: Preprocessing,
        console: bool,
        contains_crop: bool = False,
    ) -> None:
        if console and layers is not None and len(layers) > 1:
            raise ValueError(f"the plug-in looks at one layer, {len(layers)} were given; give one, or --style paper")
        self._model = model
        self._cam = (ChannelReluGradCAM if console else GradCAM)(model, layers, reshape)
        self._preprocessing, self._console, self._contains_crop = preprocessing, console, contains_crop

    def __call__(self, requests: Sequence[MapRequest]) -> list[DrawnMap]:
        """Explain a batch."""
        inputs = _batch_inputs(requests, self._preprocessing)
        seen = _first_seen(self._model, inputs) if self._contains_crop else tuple(inputs.shape[2:])
        explanation = self._cam.explain(inputs, _targets(requests), size=seen)
        if self._console:
            pixels = _pixels(inputs, self._preprocessing)
            overlays = nnc_style.overlay(explanation.raw[0].cpu(), pixels, (seen[0], seen[1])).numpy()
            return _drawn_maps(explanation, [partial(np.asarray, overlay) for overlay in overlays])
        maps = _framed(explanation.numpy(), inputs.shape[2:])
        if all(request.inputs is None for request in requests):
            return _drawn_maps(explanation, [partial(np.asarray, overlay) for overlay in _overlays(requests, maps)])
        drawings = [partial(self._overlay, request.image, map) for request, map in zip(requests, maps, strict=True)]
        return _drawn_maps(explanation, drawings)

    def _overlay(self, image: Pixels, map: NDArray[np.float32]) -> Pixels:
        return show_cam_on_image(image, self._preprocessing.to_picture(map, image.shape[:2]), use_rgb=True)


class SmoothGradExplainer:
    """Draws SmoothGrad in gray: as published and at the image's own size, or as the plug-in does and at the network's.

    Args:
        model, preprocessing: the network, and its preprocessing.
        console: draw as the plug-in does: squared gradients and NumPy's noise, row after row from one seed.
        layer: where the gradient is taken; None for the input.
        progress: show a bar on stderr.
        **options: ``noise_level``, ``num_samples``, ``batch_size`` and ``seed`` of ``SmoothGrad``.
    """

    def __init__(
        self,
        model: nn.Module,
        preprocessing: Preprocessing,
        console: bool,
        layer: nn.Module | None,
        progress: bool,
        **options: Any,
    ) -> None:
        self._noise = ConsoleNoise(options["noise_level"], options["num_samples"], options["seed"]) if console else None
        options["noise"] = self._noise
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
        inputs = _batch_inputs(requests, self._preprocessing)
        explanation = self._method.explain(inputs, _targets(requests))
        raw = resize(explanation.raw[0], inputs.shape[2:]).cpu()  # a layer's gradients are coarser than the input
        if self._noise is not None:
            return _drawn_maps(explanation, [partial(np.asarray, gray) for gray in nnc_style.sensitivity(raw).numpy()])
        maps = _capped(raw.numpy())
        drawings = [partial(self._gray, request.image, map) for request, map in zip(requests, maps, strict=True)]
        return _drawn_maps(explanation, drawings)

    def _gray(self, image: Pixels, map: NDArray[np.float32]) -> Pixels:
        placed = np.nan_to_num(self._preprocessing.to_picture(map, image.shape[:2]))
        return np.round(255 * placed).astype(np.uint8)


def _batch_inputs(requests: Sequence[MapRequest], preprocessing: Preprocessing) -> Tensor:
    """Return what the network takes for a batch, ``(B, C, h, w)``."""
    images, inputs = [request.image for request in requests], [request.inputs for request in requests]
    return BatchPreprocessing(preprocessing).batch(images, inputs)


@dataclass(frozen=True)
class _OutputAsItIs:
    """One number of the output. Its gradient is that of the graph, with its rounding: what the plug-ins draw."""

    category: int

    def __call__(self, model_output: Tensor) -> Tensor:
        return model_output[self.category]


def _targets(requests: Sequence[MapRequest]) -> list[_OutputAsItIs]:
    """Return what is explained. Outputs count as they are: a single one is the score of class 0."""
    return [_OutputAsItIs(request.category) for request in requests]


def _drawn_maps(explanation: Explanation, drawings: Sequence[Callable[[], Pixels]]) -> list[DrawnMap]:
    """Put together what draws each map of a batch, and what is known about it."""
    assert explanation.scores is not None
    constant = is_constant(explanation.maps).tolist()
    return [
        DrawnMap(draw, tuple(note.problem for note in notes) or ("the map is the same everywhere",) * is_flat, score)
        for draw, notes, score, is_flat in zip(
            drawings, explanation.notes, explanation.scores.tolist(), constant, strict=True
        )
    ]


def _overlays(requests: Sequence[MapRequest], maps: NDArray[np.float32]) -> Pixels:
    """Draw maps ``(B, H, W)`` over images of their size: ``(B, H, W, 3)``.

    One call for all, on top of each other: of small images, the calls would take most of the time.
    """
    images = np.concatenate([request.image for request in requests])
    tall = show_cam_on_image(images, np.concatenate(maps), use_rgb=True)
    return tall.reshape(len(maps), -1, *tall.shape[1:])


def _pixels(inputs: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return what the network sees ``(B, C, h, w)`` as values in 0..255."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (255 * (inputs * std + mean)).round().clamp(0, 255)


@giving_back
def _first_seen(model: nn.Module, inputs: Tensor) -> tuple[int, ...]:
    """Return height and width of what the first convolution takes."""
    sizes: list[tuple[int, ...]] = []

    def note_size(module: nn.Module, arguments: Any, output: Any) -> None:
        sizes.append(tuple(arguments[0].shape[2:]))

    device = next(model.parameters()).device
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    with undisturbed(model, device), hooked(convolutions, note_size):
        model(inputs[:1].to(device))
    return sizes[0] if sizes else tuple(inputs.shape[2:])


def _framed(maps: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    """Put maps ``(B, h, w)`` into the middle of ``(B, *size)``; NaN around them."""
    if maps.shape[1:] == tuple(size):
        return maps
    framed = np.full((len(maps), *size), np.nan, dtype=np.float32)
    top, left = ((size[axis] - maps.shape[1 + axis]) // 2 for axis in (0, 1))
    framed[:, top : top + maps.shape[1], left : left + maps.shape[2]] = maps
    return framed


def _capped(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale maps ``(B, H, W)`` to [0, 1]: a few outliers, above the 99th percentile, would leave the rest black."""
    peaks = np.percentile(maps, 99, axis=(1, 2), keepdims=True)
    peaks = np.where(peaks > 0, peaks, maps.max(axis=(1, 2), keepdims=True))
    return np.minimum(maps / np.where(peaks > 0, peaks, 1), 1).astype(np.float32)
