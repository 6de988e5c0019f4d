"""A map that can be drawn again, by whoever arranges several: a widget, a figure of matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MapPanel:
    """A map that can be drawn again.

    Attributes:
        title: what it explains.
        draw: returns it over its picture, uint8 RGB ``(H, W, 3)``, by ``image_weight``, as `show_cam_on_image` has it.
        lines: what stands below the title in small.
    """

    title: str
    draw: Callable[..., NDArray[np.uint8]]
    lines: Sequence[str] = ()
