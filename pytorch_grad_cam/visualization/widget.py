"""Maps with controls, in a notebook that has ipywidgets: which one is shown, and how opaque it lies on its picture."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.visualization import shown
from pytorch_grad_cam.visualization.map_panel import MapPanel

_STEP = 0.05  # of the slider


class MapView:
    """A picture under one of several maps, and what is turned to change it; no pass is made for that.

    Args:
        maps: at least one.

    Raises:
        ImportError: without ipywidgets.
    """

    def __init__(self, maps: Sequence[MapPanel]) -> None:
        widgets = need("ipywidgets")
        self._column, self._row = widgets.VBox, widgets.HBox
        # A flexible box would stretch a picture that is narrower than the notebook, and shrink the slider to a point.
        sizes = {"max_width": "100%", "min_width": "256px", "align_self": "flex-start"}
        self._picture = widgets.Image(format="png", layout=sizes)
        self._text = widgets.HTML()
        self._opacity = widgets.FloatSlider(value=0.5, min=0, max=1, step=_STEP, description="opacity")
        self._chosen = widgets.Dropdown(description="map", options=[""])
        self._opacity.observe(self._draw, "value")
        self._chosen.observe(self._draw, "index")
        self.show(maps)

    def show(self, maps: Sequence[MapPanel]) -> None:
        """Show the first of other maps, as opaque as the one before."""
        self._maps = maps
        self._chosen.layout.display = None if len(maps) > 1 else "none"
        # Which chooses the first, and so draws it.
        self._chosen.options = [(one.title, number) for number, one in enumerate(maps)]

    def say(self, sentence: str) -> None:
        """Write a sentence in the place of the title."""
        self._text.value = html.escape(sentence)

    def box(self, *more: Any) -> Any:
        """Return picture, text and controls as one widget; ``more`` controls stand before the others."""
        controls = self._row([*more, self._chosen, self._opacity], layout={"flex_flow": "row wrap"})
        return self._column([self._picture, self._text, controls])

    def _draw(self, _: Any = None) -> None:
        shown_map = self._maps[self._chosen.index]
        self._picture.value = shown.png(shown_map.draw(image_weight=1 - self._opacity.value))
        self._text.value = "<br>".join(
            [
                f"<b>{html.escape(shown_map.title)}</b>",
                *(f"<small>{html.escape(line)}</small>" for line in shown_map.lines),
            ]
        )
