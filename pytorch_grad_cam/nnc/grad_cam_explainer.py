"""Grad-CAM over images, as published or as the plug-in of Neural Network Console draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.restore import giving_back, hooked, undisturbed
from pytorch_grad_cam.grad_cam import GradCAM
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
from pytorch_grad_cam.nnc.methods import ChannelReluGradCAM
from pytorch_grad_cam.visualization.overlay import show_cam_on_image


class GradCAMExplainer:
    """Draws Grad-CAM over images.

    Args:
        model: the network.
        layers: the target layers; None for the automatic choice.
        reshape: from a layer's output to ``(B, C, *S)``, or None.
        preprocessing: of the network.
        console: as the plug-in draws, at the network's size; else as published, at the image's own.
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
        inputs = batch_inputs(requests, self._preprocessing)
        seen = _first_seen(self._model, inputs) if self._contains_crop else tuple(inputs.shape[2:])
        explanation = self._cam.explain(inputs, request_targets(requests), size=seen)
        if self._console:
            pixels = _pixels(inputs, self._preprocessing)
            overlays = nnc_style.overlay(explanation.raw[0].cpu(), pixels, (seen[0], seen[1])).numpy()
            return drawn_maps(explanation, [ready(overlay) for overlay in overlays])
        maps = _framed(explanation.numpy(), inputs.shape[2:])
        if all(request.inputs is None for request in requests):
            return drawn_maps(explanation, [ready(overlay) for overlay in _overlays(requests, maps)])
        drawings = [partial(self._overlay, request.image, map) for request, map in zip(requests, maps, strict=True)]
        return drawn_maps(explanation, drawings)

    def _overlay(self, image: Pixels, map: NDArray[np.float32]) -> Pixels:
        placed = self._preprocessing.to_picture(map, image.shape[:2])
        return show_cam_on_image(image, placed, use_rgb=True)


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
