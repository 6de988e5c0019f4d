"""A comparison as a picture, for who has matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytorch_grad_cam.common.extras import need

if TYPE_CHECKING:
    from pytorch_grad_cam.evaluation.comparison import Comparison

_ARROWS = {True: "higher is better", False: "lower is better", None: ""}


def plot(comparison: Comparison, metrics: Sequence[str]) -> Any:
    """Draw a panel for each metric: each row's mean and interval, methods sorted, reference maps in gray below.

    Returns:
        A ``matplotlib.figure.Figure``, which no window holds.

    Raises:
        ImportError: if matplotlib is missing.
        KeyError: for a metric that was not measured.
    """
    figure_class = need("matplotlib.figure").Figure
    made = [row for row in comparison.rows if row.maps]
    figure = figure_class(figsize=(1.5 + 3.2 * len(metrics), 0.8 + 0.27 * len(made)), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        higher = comparison.metrics[name].higher_is_better
        sign = -1 if higher is False else 1
        order = sorted(
            made, key=lambda row: (row.kind == "method", _key(sign * comparison.interval(row.id, name).value))
        )
        for height, row in enumerate(order):
            found = comparison.interval(row.id, name)
            colour = "#1f5fa8" if row.kind == "method" else "#8a8a8a"
            axes.plot([found.low, found.high], [height, height], color=colour, linewidth=2)
            axes.plot([found.value], [height], "o", color=colour, markersize=5)
        axes.set_yticks(range(len(order)), [row.id for row in order], fontsize=8)
        axes.set_title(f"{name}\n{_ARROWS[higher]}", fontsize=9)
        axes.grid(axis="x", alpha=0.3)
    figure.suptitle(f"{comparison.model}, {len(comparison.images)} pictures", fontsize=10)
    return figure


def _key(value: float) -> float:
    return float("-inf") if value != value else value
