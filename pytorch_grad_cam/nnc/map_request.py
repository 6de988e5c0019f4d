"""What the commands of ``nnc`` ask for one picture, and what comes back: a map that can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.maps import is_constant
from pytorch_grad_cam.runs.inputs import BatchPreprocessing
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class MapRequest:
    """One image and the class to explain.

    Attributes:
        index: number of the row, 0 for a single image; noise is drawn by it.
        image: uint8 RGB ``(H, W, 3)``.
        inputs: what the network takes, ``(C, h, w)``; None if it takes the image as it is, see `BatchPreprocessing`.
        category: the class.
    """

    index: int
    image: Pixels
    inputs: Tensor | None
    category: int

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of what the network takes."""
        height, width = self.image.shape[:2] if self.inputs is None else self.inputs.shape[1:]
        return height, width


@dataclass(frozen=True)
class DrawnMap:
    """The map of one request.

    Attributes:
        draw: makes the picture, RGB ``(H, W, 3)`` or gray ``(H, W)``.
        notes: why the map means nothing; mostly none.
        score: the number that was explained.
    """

    draw: Callable[[], Pixels]
    notes: tuple[str, ...]
    score: float


class BatchExplainer(Protocol):
    """Explains a batch of images whose inputs have one size."""

    def __call__(self, requests: Sequence[MapRequest]) -> list[DrawnMap]: ...


def explain_by_size(explainer: BatchExplainer, requests: Sequence[MapRequest]) -> list[DrawnMap]:
    """Explain images whose inputs differ in size, as they may where a network does not say which it takes."""
    groups = groupby(requests, lambda request: request.input_size)
    return [drawn for _, alike in groups for drawn in explainer(list(alike))]


def batch_inputs(requests: Sequence[MapRequest], preprocessing: Preprocessing) -> Tensor:
    """Return what the network takes for a batch, ``(B, C, h, w)``."""
    images, inputs = [request.image for request in requests], [request.inputs for request in requests]
    return BatchPreprocessing(preprocessing).batch(images, inputs)


def request_targets(requests: Sequence[MapRequest]) -> list[ClassifierOutputTarget]:
    """Return what is explained. Outputs count as they are: a single one is the score of class 0."""
    return [ClassifierOutputTarget(request.category) for request in requests]


def drawn_maps(explanation: Explanation, drawings: Sequence[Callable[[], Pixels]]) -> list[DrawnMap]:
    """Put together what draws each map of a batch, and what is known about it."""
    assert explanation.scores is not None
    constant = is_constant(explanation.maps).tolist()
    return [
        DrawnMap(draw, tuple(note.problem for note in notes) or ("the map is the same everywhere",) * is_flat, score)
        for draw, notes, score, is_flat in zip(
            drawings, explanation.notes, explanation.scores.tolist(), constant, strict=True
        )
    ]


def ready(pixels: Pixels) -> Callable[[], Pixels]:
    """Return what draws a picture that is drawn already."""
    return lambda: pixels
