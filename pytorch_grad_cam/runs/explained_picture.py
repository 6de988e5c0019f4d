"""What was found out about one picture: what the network sees in it, and its maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.drawing_names import Blend
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.runs.picture_targets import ImageTarget
from pytorch_grad_cam.targets.class_choices import class_label, class_name
from pytorch_grad_cam.visualization import shown
from pytorch_grad_cam.visualization.colormaps import DIVERGING, JET, clip_outliers, colormap_number
from pytorch_grad_cam.visualization.figure import figure
from pytorch_grad_cam.visualization.map_panel import MapPanel
from pytorch_grad_cam.visualization.overlay import heat_map, overlay_map
from pytorch_grad_cam.visualization.plot import plot_maps
from pytorch_grad_cam.visualization.sheet import contact_sheet
from pytorch_grad_cam.visualization.widget import MapView

CLIPPED = 99  # percentile of a map of single pixels that has the full colour already
_MOST_LISTED, _LONGEST = 6, 800  # maps, and characters, of a text


@dataclass(frozen=True)
class PictureMap:
    """One map of one picture.

    Attributes:
        method: its name in the table of methods.
        target: what was asked: a class, an object of a detector, a contrast; None for the top class or no class.
        category: the class that is explained; None for a method that looks at no class.
        label: what is explained, for people: index and name of a class, number and class of an object.
        score: the number that the map explains; None where there is none.
        share: of the class in what the network sees, in [0, 1]; None where the network gives no shares.
        map: float32 ``(h, w)``, of what the network sees; in [0, 1], signed ones in [-1, 1]. None if it means nothing.
        notes: what is wrong with it; mostly empty.
        layers: where the method looked.
        signed: whether it shows what speaks for and what speaks against.
        fine_grained: whether it has a value of its own for every pixel.
    """

    method: str
    target: ImageTarget
    category: int | None
    label: str
    score: float | None
    share: float | None
    map: NDArray[np.float32] | None
    notes: tuple[str, ...]
    layers: tuple[str, ...]
    signed: bool
    fine_grained: bool


@dataclass(frozen=True, repr=False)
class ExplainedPicture:
    """What an `Explainer` found out about one picture. In a notebook it shows itself.

    Attributes:
        image: uint8 RGB ``(H, W, 3)``.
        maps: one for every method and target, methods in their order.
        predicted: classes with their shares (of a network without shares: its numbers), the highest first, at most
            five; of a segmentation shares of the picture's area, of a detector objects with their scores.
        preprocessing: of the network; it puts maps back onto the picture.
        categories: names of the classes, where they are known.
        source: the network, for people.
    """

    image: NDArray[np.uint8]
    maps: tuple[PictureMap, ...]
    predicted: tuple[tuple[int, float], ...]
    preprocessing: Preprocessing
    categories: tuple[str, ...] | None
    source: str

    def on_picture(self, index: int = 0) -> NDArray[np.float32]:
        """Return a map in the picture's pixels: float32 ``(H, W)``, NaN where the network never looked.

        Raises:
            ValueError: if the map means nothing; its notes say why.
        """
        return self._placed(self._drawn(index))

    def overlay(
        self, index: int = 0, *, colormap: int | str | None = None, image_weight: float = 0.5, blend: Blend = "classic"
    ) -> NDArray[np.uint8]:
        """Draw a map over the picture: uint8 RGB ``(H, W, 3)``; see `visualization.overlay.show_cam_on_image`."""
        values, colours = self._shown(index, colormap)
        return overlay_map(self.image, values, True, colours, image_weight, blend)

    def heatmap(self, index: int = 0, *, colormap: int | str | None = None) -> NDArray[np.uint8]:
        """Draw a map alone: uint8 RGB ``(H, W, 3)``."""
        values, colours = self._shown(index, colormap)
        return heat_map(values, colours)

    def figure(self, index: int = 0, *, colormap: int | str | None = None, **options: Any) -> NDArray[np.uint8]:
        """Draw picture, overlay and map with a colour bar under a title; see `visualization.figure.figure`."""
        values, colours = self._shown(index, colormap)
        found = self.maps[index]
        lines = [f"{found.method} at {', '.join(found.layers)}", *found.notes]
        return figure(self.image, values, self.title(index), lines, signed=found.signed, colormap=colours, **options)

    def grid(self) -> NDArray[np.uint8]:
        """Draw the picture and every map over it, each with its name: uint8 RGB."""
        tiles = [
            (self.title(index), self.overlay(index)) for index, each in enumerate(self.maps) if each.map is not None
        ]
        return contact_sheet([self.image, *(tile for _, tile in tiles)], ["picture", *(name for name, _ in tiles)])

    def title(self, index: int = 0) -> str:
        """Say what a map explains, and how sure the network is of it."""
        found = self.maps[index]
        share = "" if found.share is None else f", {100 * found.share:.1f} %"
        several = len({each.method for each in self.maps}) > 1 and found.label
        return f"{f'{found.method}: ' if several else ''}{found.label or found.method}{share}"

    def show(self) -> None:
        """Show it: in a notebook, or in the system's viewer of pictures."""
        shown.show(self._picture())

    def widget(self, *, colormap: int | str | None = None, blend: Blend = "classic") -> Any:
        """Return the maps for a notebook, one at a time, with a slider for their opacity; nothing is explained again.

        Args:
            colormap, blend: as for `overlay`.

        Returns:
            A widget of ipywidgets; as the last line of a cell it shows itself. That of `Explainer.widget` can be asked
            for other classes.

        Raises:
            ImportError: without ipywidgets.
            ValueError: for unknown colours or another blend.
        """
        return MapView(self.map_panels(colormap, blend)).box()

    def plot(self, *, colormap: int | str | None = None, image_weight: float = 0.5, blend: Blend = "classic") -> Any:
        """Draw all maps as a figure of matplotlib, a panel for each: the map over the picture, what it explains, notes.

        Args:
            colormap, image_weight, blend: as for `overlay`.

        Returns:
            A ``matplotlib.figure.Figure``, which no window holds: in a notebook it shows itself, ``savefig`` writes it.

        Raises:
            ImportError: if matplotlib is missing.
            ValueError: for unknown colours, another blend or weight.
        """
        return plot_maps(self.map_panels(colormap, blend), image_weight)

    def map_panels(self, colormap: int | str | None = None, blend: Blend = "classic") -> list[MapPanel]:
        """Return the maps for who arranges them; of one that means nothing, the picture."""
        maps = []
        for index, found in enumerate(self.maps):
            draw = partial(self.overlay, index, colormap=colormap, blend=blend)
            about = f"{found.method} at {', '.join(found.layers)}" if found.layers else found.method
            maps.append(
                MapPanel(self.title(index), draw if found.map is not None else self._alone, (about, *found.notes))
            )
        return maps

    def save(self, path: str | Path) -> None:
        """Write what `show` shows; the name ends in .png, .jpg or .jpeg.

        Raises:
            ValueError: for another ending.
            OSError: if it cannot be written.
        """
        write_image(path, self._picture())

    def _repr_png_(self) -> bytes:
        return shown.png(self._picture())

    def _repr_html_(self) -> str:
        notes = [f"{each.method}: {note}" for each in self.maps for note in each.notes]
        return shown.card(self._picture(), "; ".join(map(self.title, range(len(self.maps)))), [self.source, *notes])

    def __repr__(self) -> str:
        """Say what was found in a few lines, without the pixels."""
        seen = ", ".join(f"{class_label(index, self.categories)} {share:.3g}" for index, share in self.predicted[:3])
        listed = [self.title(index) for index in range(len(self.maps))]
        more = f", ... ({len(listed)} maps)" if len(listed) > _MOST_LISTED else ""
        height, width = self.image.shape[:2]
        text = f"<picture {width} x {height}; predicted {seen or 'nothing'}; {'; '.join(listed[:_MOST_LISTED])}{more}>"
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]}...>"

    def _alone(self, image_weight: float) -> NDArray[np.uint8]:
        """Return the picture, however opaque its map would be that there is not."""
        return self.image

    def _picture(self) -> NDArray[np.uint8]:
        """Return what stands for all of it: the overlay, or a grid of several."""
        drawn = [index for index, each in enumerate(self.maps) if each.map is not None]
        if not drawn:
            return self.image
        return self.overlay(drawn[0]) if len(drawn) == 1 else self.grid()

    def _drawn(self, index: int) -> NDArray[np.float32]:
        found = self.maps[index]
        if found.map is None:
            raise ValueError(f"{found.method} has no map here: {'; '.join(found.notes)}")
        return found.map

    def _shown(self, index: int, colormap: int | str | None) -> tuple[NDArray[np.float32], int]:
        """Return a map as it is coloured, and the number of the colours."""
        found, map = self.maps[index], self._drawn(index)
        chosen = (DIVERGING if found.signed else JET) if colormap is None else colormap_number(colormap)
        return self._placed(clip_outliers(map, CLIPPED) if found.fine_grained else map), chosen

    def _placed(self, map: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.preprocessing.to_picture(map, (self.image.shape[0], self.image.shape[1]))


def map_records(found: ExplainedPicture) -> list[dict[str, Any]]:
    """Return what is known of each map but its values, as JSON can write it."""
    return [
        {
            "method": each.method,
            "class": None if each.category is None else _class_record(each.category, found.categories),
            "label": each.label,
            "score": _finite(each.score),
            "share": _finite(each.share),
            "energy": None if each.map is None else _finite(float(np.abs(each.map).mean())),
            "layers": list(each.layers),
            "notes": list(each.notes),
        }
        for each in found.maps
    ]


def seen_record(predicted: Sequence[tuple[int, float]], categories: tuple[str, ...] | None) -> list[dict[str, Any]]:
    """Return what the network sees in a picture as JSON can write it."""
    return [_class_record(index, categories) | {"share": _finite(share)} for index, share in predicted]


def _class_record(index: int, categories: tuple[str, ...] | None) -> dict[str, Any]:
    return {"index": index, "name": class_name(index, categories)}


def _finite(number: float | None) -> float | None:
    """Return a number as JSON can write it: rounded to six digits behind the point."""
    return None if number is None or not math.isfinite(number) else round(number, 6)
