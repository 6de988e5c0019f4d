"""Maps as a figure of matplotlib, for who arranges and saves figures with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.visualization.map_panel import MapPanel

_COLUMNS = 4
_WIDTH, _HEIGHT = 3.0, 3.5  # inches of a panel


def plot_maps(maps: Sequence[MapPanel], image_weight: float) -> Any:
    """Draw a panel for each map: the map over its picture, above it what it explains, below it method and notes.

    Args:
        maps: at least one.
        image_weight: share of the picture in the overlay.

    Returns:
        A ``matplotlib.figure.Figure``, which no window holds; its axes are those of the maps, in order.

    Raises:
        ImportError: if matplotlib is missing.
    """
    columns = min(len(maps), _COLUMNS)
    rows = -(-len(maps) // columns)
    figure = need("matplotlib.figure").Figure(figsize=(columns * _WIDTH, rows * _HEIGHT), layout="constrained")
    for place, one in enumerate(maps):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.imshow(one.draw(image_weight=image_weight), interpolation="none")
        axes.set_title(one.title, fontsize=9, parse_math=False, wrap=True)
        axes.set_xlabel("\n".join(one.lines), fontsize=7, parse_math=False, wrap=True)
        axes.set(xticks=[], yticks=[])
    return figure
