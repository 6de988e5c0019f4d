"""What the commands of ``nnc`` draw: Grad-CAM and SmoothGrad, as published or as Neural Network Console's plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.maps import is_constant, resize
from pytorch_grad_cam.engine.restore import hooked, undisturbed
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.nnc import style as nnc_style
from pytorch_grad_cam.nnc.methods import ChannelReluGradCAM, ConsoleNoise, LayerSmoothGrad
from pytorch_grad_cam.runs.inputs import Inputs
from pytorch_grad_cam.smooth_grad import SmoothGrad
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget
from pytorch_grad_cam.visualization.overlay import show_cam_on_image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Question:
    """One picture and what is asked about it.

    Attributes:
        index: number of the row, 0 for a single picture; noise is drawn by it.
        picture: uint8 RGB ``(H, W, 3)``.
        inputs: what the network takes, ``(C, h, w)``; None if it takes the picture as it is, see `Inputs`.
        category: the class.
    """

    index: int
    picture: Pixels
    inputs: Tensor | None
    category: int


@dataclass(frozen=True)
class Answer:
    """What was found out about one question.

    Attributes:
        draw: makes the picture, RGB ``(H, W, 3)`` or gray ``(H, W)``.
        notes: why the map means nothing; mostly none.
        score: the number that was explained.
    """

    draw: Callable[[], Pixels]
    notes: tuple[str, ...]
    score: float


class Explainer(Protocol):
    """Answers a batch of questions."""

    def __call__(self, questions: Sequence[Question]) -> list[Answer]: ...


class GradCamPictures:
    """Draws Grad-CAM over pictures.

    Args:
        model: the network.
        layers: the target layers; None for the automatic choice.
        reshape: from a layer's output to ``(B, C, *S)``, or None.
        preprocessing: of the network.
        console: as the plug-in draws, at the network's size; else as published, at the picture's own.
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
        method = ChannelReluGradCAM if console else GradCAM
        self._explain = method(model, layers, reshape).explain
        self._preprocessing, self._console, self._contains_crop = preprocessing, console, contains_crop

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """Explain a batch."""
        inputs = _together(questions, self._preprocessing)
        seen = _first_seen(self._model, inputs) if self._contains_crop else tuple(inputs.shape[2:])
        found = _explained(self._explain, inputs, questions, size=seen)
        if self._console:
            pixels = _pixels(inputs, self._preprocessing)
            drawn = nnc_style.overlay(found.raw[0].cpu(), pixels, (seen[0], seen[1])).numpy()
            return _answers(found, [partial(_ready, each) for each in drawn])
        framed = _framed(found.numpy(), inputs.shape[2:])
        pictures = [each.picture for each in questions]
        if all(each.inputs is None for each in questions):
            # One call for all, on top of each other: of small pictures, the calls would take most of the time.
            tall = show_cam_on_image(np.concatenate(pictures), np.concatenate(framed), use_rgb=True)
            return _answers(found, [partial(_ready, each) for each in tall.reshape(len(framed), -1, *tall.shape[1:])])
        return _answers(found, [partial(self._overlay, *each) for each in zip(pictures, framed, strict=True)])

    def _overlay(self, picture: Pixels, map: NDArray[np.float32]) -> Pixels:
        placed = self._preprocessing.to_picture(map, picture.shape[:2])
        return show_cam_on_image(picture, placed, use_rgb=True)


class SmoothGradPictures:
    """Draws SmoothGrad in gray.

    Args:
        model: the network.
        preprocessing: of the network.
        console: as the plug-in draws, at the network's size: squared gradients and NumPy's noise, row after row from
            one seed; else as published, at the picture's own.
        noise_level: standard deviation of the noise, as a share of the input's range.
        num_samples: noisy copies per picture.
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
        how: dict[str, Any] = {"noise_level": noise_level, "num_samples": num_samples, "batch_size": batch_size}
        how |= {"seed": seed, "noise": self._noise}
        self._explain: Callable[..., Explanation]
        if layer is None:
            mode: Literal["squared", "absolute"] = "squared" if console else "absolute"
            self._explain = SmoothGrad(model, mode=mode, progress=progress, **how).explain
        else:
            self._explain = LayerSmoothGrad(model, layer, console, **how).explain
        self._preprocessing = preprocessing

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """Explain a batch."""
        if self._noise is not None:
            self._noise.expect([each.index for each in questions])
        inputs = _together(questions, self._preprocessing)
        found = _explained(self._explain, inputs, questions)
        raw = resize(found.raw[0], inputs.shape[2:]).cpu()  # a layer's gradients are coarser than the input
        if self._noise is not None:
            return _answers(found, [partial(_ready, each) for each in nnc_style.sensitivity(raw).numpy()])
        maps = _capped(raw.numpy())
        return _answers(
            found, [partial(self._gray, each.picture, map) for each, map in zip(questions, maps, strict=True)]
        )

    def _gray(self, picture: Pixels, map: NDArray[np.float32]) -> Pixels:
        placed = np.nan_to_num(self._preprocessing.to_picture(map, picture.shape[:2]))
        return np.round(255 * placed).astype(np.uint8)


def by_size(explain: Explainer, questions: Sequence[Question]) -> list[Answer]:
    """Answer questions whose inputs differ in size, as they may where a network does not say which it takes."""

    def size(question: Question) -> tuple[int, ...]:
        return question.picture.shape[:2] if question.inputs is None else tuple(question.inputs.shape[1:])

    return [answer for _, alike in groupby(questions, size) for answer in explain(list(alike))]


def _together(questions: Sequence[Question], preprocessing: Preprocessing) -> Tensor:
    return Inputs(preprocessing).together([each.picture for each in questions], [each.inputs for each in questions])


def _explained(
    explain: Callable[..., Explanation], inputs: Tensor, questions: Sequence[Question], **options: Any
) -> Explanation:
    """Explain a batch. Outputs count as they are: a single one is the score of class 0."""
    return explain(inputs, [ClassifierOutputTarget(each.category) for each in questions], **options)


def _answers(found: Explanation, drawings: Sequence[Callable[[], Pixels]]) -> list[Answer]:
    assert found.scores is not None
    flat = is_constant(found.maps).tolist()
    return [
        Answer(draw, tuple(note.problem for note in notes) or ("the map is the same everywhere",) * is_flat, score)
        for draw, notes, score, is_flat in zip(drawings, found.notes, found.scores.tolist(), flat, strict=True)
    ]


def _capped(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale maps ``(B, H, W)`` to [0, 1]: a few outliers, above the 99th percentile, would leave the rest black."""
    peaks = np.percentile(maps, 99, axis=(1, 2), keepdims=True)
    peaks = np.where(peaks > 0, peaks, maps.max(axis=(1, 2), keepdims=True))
    return np.minimum(maps / np.where(peaks > 0, peaks, 1), 1).astype(np.float32)


def _ready(pixels: Pixels) -> Pixels:
    return pixels


def _pixels(inputs: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return what the network sees ``(B, C, h, w)`` as values in 0..255."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (255 * (inputs * std + mean)).round().clamp(0, 255)


def _first_seen(model: nn.Module, inputs: Tensor) -> tuple[int, ...]:
    """Return height and width of what the first convolution takes."""
    sizes: list[tuple[int, ...]] = []

    def note(module: nn.Module, given: Any, output: Any) -> None:
        sizes.append(tuple(given[0].shape[2:]))

    device = next(model.parameters()).device
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    with undisturbed(model, device), hooked(convolutions, note):
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
