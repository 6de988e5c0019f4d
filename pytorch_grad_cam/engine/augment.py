"""Test-time augmentation: changed versions of an input, and how to undo the change on a map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

FACTORS = (1.0, 0.9, 1.1)


@dataclass(frozen=True)
class Augmentation:
    """Changes an input, and turns what is computed from it back.

    Attributes:
        apply: on inputs ``(B, C, *S)``.
        undo: on anything ``(B, K, *S)`` that was computed from them.
    """

    apply: Callable[[Tensor], Tensor]
    undo: Callable[[Tensor], Tensor]


def augmentations(transforms: Iterable[Any] | None) -> Sequence[Augmentation]:
    """Turn ``ttach`` transforms into augmentations; None stands for flips of the last axis times three factors."""
    if transforms is not None:
        return [Augmentation(transform.augment_image, transform.deaugment_mask) for transform in transforms]
    return [_flip_and_scale(flip, factor) for flip in (False, True) for factor in FACTORS]


def _flip_and_scale(flip: bool, factor: float) -> Augmentation:
    def flipped(tensor: Tensor) -> Tensor:
        return tensor.flip(-1) if flip else tensor

    return Augmentation(lambda inputs: flipped(inputs) * factor, flipped)
