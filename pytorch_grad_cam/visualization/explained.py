"""What is drawn of an ``Explanation``: a map over its picture, a figure, all maps of a batch, a card in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.common.drawing_names import Blend
from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.targets.score_kinds import MULTI_LABEL, class_shares
from pytorch_grad_cam.visualization import shown
from pytorch_grad_cam.visualization.colormaps import DIVERGING, JET
from pytorch_grad_cam.visualization.figure import figure
from pytorch_grad_cam.visualization.map_panel import MapPanel
from pytorch_grad_cam.visualization.overlay import overlay_map
from pytorch_grad_cam.visualization.plot import plot_maps
from pytorch_grad_cam.visualization.sheet import contact_sheet
from pytorch_grad_cam.visualization.text import isolated
from pytorch_grad_cam.visualization.widget import MapView

_MOST_TILES, _MOST_NOTES = 30, 5  # of a grid, of a card


class PlacesMaps(Protocol):
    """What puts a map onto the picture's pixels, as `data.preprocessing.Preprocessing` does."""

    def to_picture(self, map: Any, size: tuple[int, int]) -> NDArray[np.float32]: ...


class Explained(Protocol):
    """What is drawn of an ``Explanation``."""

    @property
    def outputs(self) -> Any: ...
    @property
    def scores(self) -> Any: ...
    @property
    def classes(self) -> tuple[Any, ...]: ...
    @property
    def layers(self) -> tuple[str, ...]: ...
    @property
    def method(self) -> str: ...
    @property
    def notes(self) -> tuple[Any, ...]: ...
    @property
    def images(self) -> Any: ...
    @property
    def categories(self) -> Sequence[str] | None: ...
    def numpy(self) -> NDArray[np.float32]: ...


def explained_overlay(
    found: Explained,
    index: int = 0,
    *,
    target: int | None = None,
    picture: Any = None,
    preprocessing: PlacesMaps | None = None,
    colormap: int | str | None = None,
    image_weight: float = 0.5,
    blend: Blend = "classic",
) -> NDArray[np.uint8]:
    """Draw a map of an ``Explanation`` over its picture; its method ``overlay`` says what the arguments mean."""
    map, image = _map(found, index, target), unit_picture(_picture(found, index) if picture is None else picture)
    placed = map if preprocessing is None else preprocessing.to_picture(map, image.shape[:2])
    colours = (DIVERGING if map.min() < 0 else JET) if colormap is None else colormap
    return overlay_map(image, placed, True, colours, image_weight, blend)


def explained_grid(found: Explained, categories: Sequence[str] | None = None) -> NDArray[np.uint8]:
    """Draw every map over its picture, each with what it explains: RGB; at most the first thirty."""
    tiles: list[NDArray[np.uint8]] = []
    names: list[str] = []
    for index, target in islice(_places(found), _MOST_TILES):
        tiles.append(explained_overlay(found, index, target=target))
        names.append(_title(found, index, target, categories, None))
    return tiles[0] if len(tiles) == 1 else contact_sheet(tiles, names)


def explained_card(found: Explained) -> str | None:
    """Return all of it as HTML for a notebook; None if nobody knows the pictures."""
    several = isinstance(found.classes[0], tuple)
    if found.images is None or found.numpy().ndim != (4 if several else 3):  # of a volume or a signal
        return None
    titles = [_title(found, index, target, None, None) for index, target in _places(found)]
    notes = [f"image {index}: {note}" for index, of_image in enumerate(found.notes) for note in of_image]
    return shown.card(explained_grid(found), "; ".join(titles[:_MOST_NOTES]), [_about(found), *notes[:_MOST_NOTES]])


def explained_widget(found: Explained, categories: Sequence[str] | None = None, **options: Any) -> Any:
    """Return all maps, one at a time, with controls; the method ``widget`` of an ``Explanation`` says more."""
    return MapView(_map_panels(found, categories, **options)).box()


def explained_plot(
    found: Explained, categories: Sequence[str] | None = None, image_weight: float = 0.5, **options: Any
) -> Any:
    """Return all maps as a figure of matplotlib; the method ``plot`` of an ``Explanation`` says more."""
    return plot_maps(_map_panels(found, categories, **options), image_weight)


def _map_panels(found: Explained, categories: Sequence[str] | None, **options: Any) -> list[MapPanel]:
    several = len(found.classes) > 1
    maps = []
    for index, target in _places(found):
        draw = partial(explained_overlay, found, index, target=target, **options)
        title = _title(found, index, target, categories, None) or _about(found)
        maps.append(
            MapPanel(f"image {index}: {title}" if several else title, draw, [_about(found), *found.notes[index]])
        )
    return maps


def explained_figure(
    found: Explained,
    picture: Any = None,
    index: int = 0,
    *,
    target: int | None = None,
    title: str | None = None,
    categories: Sequence[str] | None = None,
    preprocessing: PlacesMaps | None = None,
    multi_label: bool = False,
    **options: Any,
) -> NDArray[np.uint8]:
    """Draw the figure of an ``Explanation``; its method ``figure`` says what the arguments mean."""
    map = _map(found, index, target)
    image = unit_picture(_picture(found, index) if picture is None else picture)
    if title is None:
        title = _title(found, index, target, categories, MULTI_LABEL if multi_label else None)
    signed = bool(map.min() < 0)
    placed = map if preprocessing is None else preprocessing.to_picture(map, image.shape[:2])
    return figure(image, placed, title, [_about(found)], **{"signed": signed} | options)


def pictures_of(images: Any, count: int) -> list[Any]:
    """Return one picture for each image of a batch.

    Args:
        images: a sequence of pictures, an array ``(B, H, W, 3)`` or tensor ``(B, C, H, W)``; of one image its picture.
        count: of images.

    Raises:
        ValueError: for another number of pictures.
    """
    shape = np.shape(images) if isinstance(images, (np.ndarray, Tensor)) else None
    if (shape is not None and len(shape) < 4) or hasattr(images, "getexif"):
        images = [images]
    listed = list(images)
    if len(listed) != count:
        raise ValueError(f"images holds {len(listed)} pictures for {count} images; give one for each")
    return listed


def _places(found: Explained) -> Iterator[tuple[int, int | None]]:
    """Yield index and target of every map."""
    for index, classes in enumerate(found.classes):
        for target in range(len(classes)) if isinstance(classes, tuple) else (None,):
            yield index, target


def _map(found: Explained, index: int, target: int | None) -> NDArray[np.float32]:
    maps = found.numpy()
    several = isinstance(found.classes[index], tuple)
    if several != (target is not None):
        need = "say which target's with target=0" if several else "there is one target only; leave target out"
        raise ValueError(f"the maps have the shape {maps.shape}; {need}")
    map: NDArray[np.float32] = maps[index] if target is None else maps[index, target]
    if map.ndim != 2:
        raise ValueError(f"the map is none of a picture (h, w), but {map.shape}; see docs/volumes_signals_video.md")
    return map


def _picture(found: Explained, index: int) -> Any:
    if found.images is None:
        raise ValueError(
            "the pictures are not known: give them where it is explained, cam.explain(x, images=pictures), or here"
        )
    return found.images[index]


def _title(found: Explained, index: int, target: int | None, categories: Sequence[str] | None, kind: str | None) -> str:
    category = found.classes[index] if target is None else found.classes[index][target]
    score = None if found.scores is None else float(found.scores[(index,) if target is None else (index, target)])
    names = found.categories if categories is None else categories
    return class_title(category, score, class_shares(found.outputs, kind), index, names)


def _about(found: Explained) -> str:
    layers = ", ".join(found.layers[:3]) + (", ..." if len(found.layers) > 3 else "")
    return f"{found.method} at {layers}" if layers else found.method


def class_title(category: Any, score: float | None, shares: Any, index: int, categories: Sequence[str] | None) -> str:
    """Write what a map explains: the class by name, or by index, and its share; without a class, the score."""
    if not isinstance(category, int):
        return "" if score is None else f"score {score:.4g}"
    known = categories is not None and 0 <= category < len(categories)
    name = isolated(categories[category]) if categories is not None and known else f"class {category}"
    if shares is not None and category < shares.shape[1]:
        return f"{name}, {100 * float(shares[index, category]):.1f} %"
    return name if score is None else f"{name}, score {score:.4g}"
