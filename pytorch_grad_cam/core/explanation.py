"""What one call found out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.common.notes import Note
from pytorch_grad_cam.engine.fixed_batch import choose, concatenated


@dataclass(frozen=True)
class Explanation:
    """The maps of one call and everything needed to judge them.

    Attributes:
        maps: ``(B, *S)`` float32, on the model's device. Range [0, 1] by default; see ``BaseCAM.explain``.
        raw: per target layer ``(B, *s)``: signed, at the layer's resolution, before ReLU, scaling and resizing.
        weights: per target layer the channel weights ``(B, C)`` or ``(B, C, *s)``; None where a method has none.
        outputs: what the model returned, detached.
        scores: ``(B,)``, the numbers that were explained, detached; None for a method that explains none (EigenCAM).
        classes: per image the explained class, None where the target is a callable without a ``category``.
        layers: names of the target layers.
        notes: per image what makes its map meaningless, in words and as a code (see ``common.notes``); an empty tuple
            means nothing does.

    For several targets per image (``BaseCAM.explain_each``) maps, raw, weights and scores have an axis of length ``K``
    after the first, and classes are ``K`` per image.
    """

    maps: Tensor
    raw: tuple[Tensor, ...]
    weights: tuple[Tensor | None, ...]
    outputs: Any
    scores: Tensor | None
    classes: tuple[Any, ...]
    layers: tuple[str, ...]
    notes: tuple[tuple[Note, ...], ...]

    def numpy(self) -> NDArray[np.float32]:
        """Return the maps as a float32 array ``(B, *S)``."""
        array: NDArray[np.float32] = self.maps.detach().cpu().numpy()
        return array


def stacked(each: Sequence[Explanation]) -> Explanation:
    """Join the explanations of ``K`` targets of the same images; see ``Explanation``."""
    first = each[0]
    return Explanation(
        maps=torch.stack([one.maps for one in each], 1),
        raw=tuple(torch.stack(of_layer, 1) for of_layer in zip(*(one.raw for one in each), strict=True)),
        weights=tuple(_together(of_layer) for of_layer in zip(*(one.weights for one in each), strict=True)),
        outputs=first.outputs,
        scores=None if first.scores is None else torch.stack([one.scores for one in each if one.scores is not None], 1),
        classes=tuple(zip(*(one.classes for one in each), strict=True)),
        layers=first.layers,
        notes=tuple(
            tuple(note.about(f"target {index}") for index, notes in enumerate(of_image) for note in notes)
            for of_image in zip(*(one.notes for one in each), strict=True)
        ),
    )


def joined(parts: Sequence[tuple[Explanation, int]]) -> Explanation:
    """Join the explanations of several batches; of each, its first rows, as many as stand beside it."""
    each = [_first_rows(part, count) for part, count in parts]
    weights = list(zip(*(one.weights for one in each), strict=True))
    return Explanation(
        maps=torch.cat([one.maps for one in each]),
        raw=tuple(torch.cat(of_layer) for of_layer in zip(*(one.raw for one in each), strict=True)),
        weights=tuple(None if of_layer[0] is None else torch.cat(of_layer) for of_layer in weights),
        outputs=concatenated([one.outputs for one in each]),
        scores=None if each[0].scores is None else torch.cat([one.scores for one in each if one.scores is not None]),
        classes=tuple(chain.from_iterable(one.classes for one in each)),
        layers=each[0].layers,
        notes=tuple(chain.from_iterable(one.notes for one in each)),
    )


def _first_rows(one: Explanation, count: int) -> Explanation:
    first, batch = torch.arange(count), len(one.maps)
    cut = {name: choose(getattr(one, name), first, batch) for name in ("maps", "raw", "weights", "outputs", "scores")}
    return dataclasses.replace(one, **cut, classes=one.classes[:count], notes=one.notes[:count])


def _together(weights: Sequence[Tensor | None]) -> Tensor | None:
    given = [each for each in weights if each is not None]
    return torch.stack(given, 1) if len(given) == len(weights) else None
