"""The files of one picture: what they are called, and what is in them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.classes import class_name
from pytorch_grad_cam.cli.explain.drawing import ImageDrawing, map_grid
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.cli.explain.targets import MOST_PREDICTIONS, ClassContrast, ImageTarget, predictions, target_label
from pytorch_grad_cam.cli.output import json_file
from pytorch_grad_cam.data.images import encoded_image
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.visualization.overlay import draw_boxes

GRID = "grid.jpg"
ENDINGS = {
    "overlay": ("_cam.jpg",),
    "figure": ("_figure.png",),
    "guided": ("_gb.jpg", "_cam_gb.jpg"),
    "heatmap": ("_heatmap.png",),
    "npy": ("_cam.npy",),
    "boxes": ("_boxes.jpg", "_boxes.json"),
    "json": (".json",),
}
_SLUG = 40  # characters of a class's name
GuidedGradients = dict[ImageTarget, NDArray[np.float32] | str]  # by target; or why there are none


@dataclass(frozen=True)
class ImageFiles:
    """The files of one picture's maps."""

    drawing: ImageDrawing
    kinds: Sequence[str]  # what to save, of `options.KINDS`
    several: bool  # whether the names of classes belong into those of files

    def names(self, method: str, target: ImageTarget) -> list[str]:
        """Return the names of all files of one map."""
        return [self._stem(method, target) + ending for kind in self.kinds for ending in ENDINGS[kind]]

    def contents(self, results: Sequence[MapResult], guided: GuidedGradients) -> dict[str, bytes]:
        """Return the files of all maps by name, those of ``guided`` only where there are such gradients."""
        drawn = [result for result in results if result.map is not None]
        files: dict[str, bytes] = {}
        for result in drawn:
            files |= self._map_files(result, guided.get(result.target))
        if len(results) > 1 and drawn and "overlay" in self.kinds:
            files[GRID] = _jpeg(map_grid(self.drawing, results))
        return files

    def _stem(self, method: str, target: ImageTarget) -> str:
        """Return what the files of one map begin with."""
        if self.drawing.options.against and method_class(method).uses_targets:
            method += "_against"
        if target is None or not (self.several or isinstance(target, ClassContrast)):
            return method
        label = target_label(target, self.drawing.loaded.categories).lower()
        slug = re.sub(r"[^\w]+", "_", label)[:_SLUG].strip("_")
        return f"{method}_{slug}"

    def _map_files(self, result: MapResult, guided: NDArray[np.float32] | str | None) -> dict[str, bytes]:
        assert result.map is not None
        drawing, heat = self.drawing, self.drawing.on_image(result.map)
        make: dict[str, Callable[[], list[bytes]]] = {
            "overlay": lambda: [_jpeg(drawing.overlay(result))],
            "figure": lambda: [encoded_image("a.png", drawing.figure(result))],
            "guided": lambda: [_jpeg(image) for image in drawing.guided(result, guided)],  # type: ignore[arg-type]
            "heatmap": lambda: [encoded_image("a.png", drawing.heat_map(result))],
            "npy": lambda: [_array(heat)],
            "boxes": lambda: self._boxes(result),
            "json": lambda: [json_file(_map_record(drawing, result))],
        }
        return {
            self._stem(result.method, result.target) + ending: content
            for kind in self.kinds
            if kind != "guided" or isinstance(guided, np.ndarray)
            for ending, content in zip(ENDINGS[kind], make[kind](), strict=True)
        }

    def _boxes(self, result: MapResult) -> list[bytes]:
        boxes = self.drawing.boxes(result)
        return [_jpeg(draw_boxes(self.drawing.image, boxes)), json_file([asdict(box) for box in boxes])]


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    return encoded_image("a.jpg", image)


def _array(values: NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()


def _map_record(drawing: ImageDrawing, result: MapResult) -> dict[str, Any]:
    """Return everything that is known about a map, as JSON can write it."""
    loaded, options = drawing.loaded, drawing.options
    seen = predictions(result.outputs, loaded, MOST_PREDICTIONS) or []
    box = drawing.object_box(result)

    def named_class(index: int) -> dict[str, Any]:
        return {"index": index, "name": class_name(index, loaded.categories)}

    return {
        "picture": drawing.source,
        "height": drawing.image.shape[0],
        "width": drawing.image.shape[1],
        "model": loaded.source,
        "predicted": [named_class(index) | {"share": round(share, 6)} for index, share in seen],
        "method": result.method,
        "class": None if result.category is None else named_class(result.category),
        "rather_than": named_class(result.target.second) if isinstance(result.target, ClassContrast) else None,
        "against": result.against,
        "score": result.score if result.score is not None and math.isfinite(result.score) else None,
        "object": None if box is None else {side: getattr(box, side) for side in ("left", "top", "right", "bottom")},
        "layers": list(result.layers),
        "aug_smooth": options.aug_smooth,
        "eigen_smooth": options.eigen_smooth,
        "seed": options.seed,
        "box_threshold": options.box_threshold,
        "boxes": [asdict(box) for box in drawing.boxes(result)],
        "notes": result.notes,
        "version": __version__,
    }
