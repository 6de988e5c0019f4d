"""What one call found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


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
        notes: per image what makes its map meaningless; an empty tuple means nothing does.
    """

    maps: Tensor
    raw: tuple[Tensor, ...]
    weights: tuple[Tensor | None, ...]
    outputs: Any
    scores: Tensor | None
    classes: tuple[int | None, ...]
    layers: tuple[str, ...]
    notes: tuple[tuple[str, ...], ...]

    def numpy(self) -> NDArray[np.float32]:
        """Return the maps as a float32 array ``(B, *S)``."""
        array: NDArray[np.float32] = self.maps.cpu().numpy()
        return array
