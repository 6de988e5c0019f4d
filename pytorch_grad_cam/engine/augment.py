"""Test-time views of an input, and how to undo them on a map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

FACTORS = (1.0, 0.9, 1.1)


@dataclass(frozen=True)
class View:
    """One changed view: ``change`` on inputs ``(B, C, *S)``, ``undo`` on anything ``(B, K, *S)`` computed from them."""

    change: Callable[[Tensor], Tensor]
    undo: Callable[[Tensor], Tensor]


def views_of(transforms: Iterable[Any] | None) -> Sequence[View]:
    """Turn ``ttach`` transforms into views; None stands for flips of the last axis times three factors."""
    if transforms is not None:
        return [View(transform.augment_image, transform.deaugment_mask) for transform in transforms]
    return [_flip_and_scale(flip, factor) for flip in (False, True) for factor in FACTORS]


def _flip_and_scale(flip: bool, factor: float) -> View:
    def turn(tensor: Tensor) -> Tensor:
        return tensor.flip(-1) if flip else tensor

    return View(lambda inputs: turn(inputs) * factor, turn)
