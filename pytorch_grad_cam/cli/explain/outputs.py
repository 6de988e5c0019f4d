"""The files of one picture: what they are called, and what is in them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.classes import predicted
from pytorch_grad_cam.cli.explain.contrast import Contrast
from pytorch_grad_cam.cli.explain.maps import Found
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.explain.tasks import Question, Thing, label, shown
from pytorch_grad_cam.data.image_tensors import deprocess_image
from pytorch_grad_cam.data.images import encoded_image
from pytorch_grad_cam.engine.boxes import Box, boxes_from_map
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.visualization.boxes import draw_boxes
from pytorch_grad_cam.visualization.colormaps import DIVERGING
from pytorch_grad_cam.visualization.grid import contact_sheet, labelled_grid
from pytorch_grad_cam.visualization.overlay import heat_map, show_cam_on_image, show_signed_cam_on_image

TOP = 5  # predicted classes that are listed
GRID = "grid.jpg"
MANY = 8  # methods of one class in a column; more are laid out line by line, to fit on a screen
ENDINGS = {
    "overlay": ("_cam.jpg",),
    "guided": ("_gb.jpg", "_cam_gb.jpg"),
    "heatmap": ("_heatmap.png",),
    "npy": ("_cam.npy",),
    "boxes": ("_boxes.jpg", "_boxes.json"),
    "json": (".json",),
}
_SLUG = 40  # characters of a class's name


@dataclass(frozen=True)
class Drawing:
    """What the files of one picture are made of.

    Attributes:
        source: the picture's path, as it was given.
        picture: uint8 RGB ``(H, W, 3)``.
        loaded: the network.
        options: kinds of files, colours, thresholds.
        kinds: what to save, of `arguments.KINDS`.
        several: whether the names of classes belong into those of files.
    """

    source: str
    picture: NDArray[np.uint8]
    loaded: LoadedModel
    options: ExplainOptions
    kinds: Sequence[str]
    several: bool

    def name(self, method: str, index: Question) -> str:
        """Return what the files of one map begin with."""
        if self.options.against and method_class(method).uses_targets:
            method += "_against"
        if index is None or not (self.several or isinstance(index, Contrast)):
            return method
        slug = re.sub(r"[^\w]+", "_", label(index, self.loaded.categories).lower())[:_SLUG].strip("_")
        return f"{method}_{slug}"

    def names(self, method: str, index: Question) -> list[str]:
        """Return the names of all files of one map."""
        return [self.name(method, index) + ending for kind in self.kinds for ending in ENDINGS[kind]]

    def on_picture(self, map: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a map in the picture's pixels, ``(H, W)``, NaN where the network never looked."""
        return self.loaded.preprocessing.to_picture(map, self.picture.shape[:2])

    def overlay(self, found: Found) -> NDArray[np.uint8]:
        """Blend a map with the picture, and draw the box of the object that it explains."""
        assert found.map is not None
        heat = self.on_picture(found.map)
        weight = self.options.image_weight
        if found.signed:
            blend = show_signed_cam_on_image(self.picture, heat, True, weight)
        else:
            blend = show_cam_on_image(self.picture, heat, True, self.colormap, weight)
        box = self._object_box(found)
        return blend if box is None else draw_boxes(blend, [box], colour=(255, 255, 255))

    def _object_box(self, found: Found) -> Box | None:
        if not isinstance(found.index, Thing) or found.map is None:
            return None
        height, width = found.map.shape
        return found.index.on_picture(self.loaded.preprocessing, (height, width), self.picture.shape[:2])

    @property
    def colormap(self) -> int:
        """OpenCV's number of the colours."""
        return int(getattr(cv2, f"COLORMAP_{self.options.colormap.upper()}"))

    def files(self, found: Found, guided: NDArray[np.float32] | str | None) -> dict[str, bytes]:
        """Return the files of one map by name, those of ``guided`` only where there is one."""
        assert found.map is not None
        name, heat = self.name(found.method, found.index), self.on_picture(found.map)
        make: dict[str, Callable[[], list[bytes]]] = {
            "overlay": lambda: [_jpeg(self.overlay(found))],
            "guided": lambda: self._guided(found.map, guided),  # type: ignore[arg-type]
            "heatmap": lambda: [encoded_image("a.png", heat_map(heat, DIVERGING if found.signed else self.colormap))],
            "npy": lambda: [_array(heat)],
            "boxes": lambda: self._boxes(heat),
            "json": lambda: [_json(self._record(found, heat))],
        }
        return {
            name + ending: content
            for kind in self.kinds
            if kind != "guided" or isinstance(guided, np.ndarray)
            for ending, content in zip(ENDINGS[kind], make[kind](), strict=True)
        }

    def grid(self, maps: Sequence[Found]) -> bytes:
        """Return a table of all maps of the picture: methods x classes; of many methods and one class a sheet."""
        drawn = {(each.method, each.index): each for each in maps}
        classes: list[Question] = list(dict.fromkeys(each.index for each in maps if each.explained is not None)) or [
            None
        ]
        cells, rows = [], []
        for method in dict.fromkeys(each.method for each in maps):
            blind = all(each.explained is None for each in maps if each.method == method)
            rows.append(f"{method} (no class)" if blind else method)
            row = [drawn[method, None if blind else index] for index in classes]
            cells.append([self.picture, *(None if each.map is None else self.overlay(each) for each in row)])
        top = next((each.explained for each in maps if each.explained is not None), None)
        explained = [top if index is None else index for index in classes]
        columns = ["picture", *(label(index, self.loaded.categories) for index in explained)]
        if len(classes) == 1 and len(cells) > MANY:
            drawings = [(row[1], name) for row, name in zip(cells, rows, strict=True) if row[1] is not None]
            pictures, names = zip((self.picture, columns[1] or columns[0]), *drawings, strict=True)
            return _jpeg(contact_sheet(pictures, names, side=224))
        colormap = DIVERGING if any(each.signed for each in maps) else self.colormap
        return _jpeg(labelled_grid(cells, rows, columns, colormap=colormap))

    def _guided(self, map: NDArray[np.float32], guided: NDArray[np.float32]) -> list[bytes]:
        """Guided backpropagation alone, and times the map."""
        pair = (guided, guided * map[:, :, None])
        return [_jpeg(self._placed(deprocess_image(each))) for each in pair]

    def _placed(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Put ``(h, w, C)`` onto the picture's pixels; what the network never saw is middle gray."""
        bands = np.stack([self.on_picture(band) for band in np.moveaxis(pixels, 2, 0)], axis=2)
        placed = np.round(np.nan_to_num(bands, nan=127)).astype(np.uint8)
        return np.repeat(placed, 3, axis=2) if placed.shape[2] == 1 else placed

    def _boxes(self, heat: NDArray[np.float32]) -> list[bytes]:
        boxes = self._around(heat)
        return [_jpeg(draw_boxes(self.picture, boxes)), _json([asdict(box) for box in boxes])]

    def _around(self, heat: NDArray[np.float32]) -> list[Box]:
        """Return the boxes around what the map points at; of a contrast, what speaks for its first class."""
        return boxes_from_map(np.maximum(heat, 0), self.options.box_threshold, "all")

    def _record(self, found: Found, heat: NDArray[np.float32]) -> dict[str, Any]:
        """Everything that was found, in numbers."""
        seen = shown(found.outputs, self.loaded.task, TOP) or predicted(found.outputs, self.loaded, TOP) or []
        options, box = self.options, self._object_box(found)
        return {
            "picture": self.source,
            "height": self.picture.shape[0],
            "width": self.picture.shape[1],
            "model": self.loaded.source,
            "predicted": [self._class(index) | {"share": round(share, 6)} for index, share in seen],
            "method": found.method,
            "class": None if found.explained is None else self._class(found.explained),
            "rather_than": self._class(found.index.second) if isinstance(found.index, Contrast) else None,
            "against": found.against,
            "score": found.score if found.score is not None and math.isfinite(found.score) else None,
            "object": None
            if box is None
            else {"left": box.left, "top": box.top, "right": box.right, "bottom": box.bottom},
            "layers": list(found.layers),
            "aug_smooth": options.aug_smooth,
            "eigen_smooth": options.eigen_smooth,
            "seed": options.seed,
            "box_threshold": options.box_threshold,
            "boxes": [asdict(box) for box in self._around(heat)],
            "notes": found.notes,
            "version": __version__,
        }

    def _class(self, index: int) -> dict[str, Any]:
        names = self.loaded.categories
        return {"index": index, "name": names[index] if names and 0 <= index < len(names) else None}


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    return encoded_image("a.jpg", image)


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _array(values: NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()
