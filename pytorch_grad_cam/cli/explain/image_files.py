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
from pytorch_grad_cam.cli.explain.drawing import ImageDrawing, map_grid
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.cli.explain.owners import comment_for
from pytorch_grad_cam.cli.output import json_file
from pytorch_grad_cam.data.images import encoded_image
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.runs.picture_targets import (
    MOST_PREDICTIONS,
    ClassContrast,
    ImageTarget,
    predictions,
    target_label,
)
from pytorch_grad_cam.targets.class_choices import class_name
from pytorch_grad_cam.targets.score_kinds import NONE
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
_GB = ENDINGS["guided"][0]
GUIDED = "guided"  # in the place of a method: the gradients are the same for all of them
_SLUG = 40  # characters of a class's name
GuidedGradients = dict[ImageTarget, NDArray[np.float32] | str]  # by target; or why there are none


@dataclass(frozen=True)
class ImageFiles:
    """The files of one picture's maps."""

    drawing: ImageDrawing
    kinds: Sequence[str]  # what to save, of `options.KINDS`
    several: bool  # whether the names of classes belong into those of files

    def names(self, method: str, target: ImageTarget, first: ImageTarget) -> list[str]:
        """Return the names of all files of one map; ``first`` is what guided gradients show where it has no target."""
        names = [self._stem(method, target) + ending for kind in self.kinds for ending in ENDINGS[kind]]
        if "guided" in self.kinds:
            names[names.index(self._stem(method, target) + _GB)] = self.guided_name(method, target, first)
        return names

    def groups(self, method: str, target: ImageTarget, first: ImageTarget) -> list[list[str]]:
        """Return the names that files of one map can have, whatever is saved, and those that several maps share."""
        stem = self._stem(method, target)
        own = [stem + ending for endings in ENDINGS.values() for ending in endings]
        return [own, [self.guided_name(method, target, first)] if self._shares_guided else [], [GRID]]

    def of_map(
        self, result: MapResult, guided: NDArray[np.float32] | str | None, first: ImageTarget
    ) -> dict[str, bytes]:
        """Return the files of a map that was drawn, by name; those of ``guided`` where there are such gradients."""
        assert result.map is not None
        drawing, heat = self.drawing, self.drawing.on_image(result.map)
        make: dict[str, Callable[[], list[bytes]]] = {
            "overlay": lambda: [self._jpeg(drawing.overlay(result))],
            "figure": lambda: [encoded_image("a.png", drawing.figure(result), self._comment)],
            "guided": lambda: [self._jpeg(image) for image in drawing.guided(result, guided)],  # type: ignore[arg-type]
            "heatmap": lambda: [encoded_image("a.png", drawing.heat_map(result), self._comment)],
            "npy": lambda: [_array(heat)],
            "boxes": lambda: self._boxes(result),
            "json": lambda: [json_file(_map_record(drawing, result))],
        }
        files = {
            self._stem(result.method, result.target) + ending: content
            for kind in self.kinds
            if kind != "guided" or isinstance(guided, np.ndarray)
            for ending, content in zip(ENDINGS[kind], make[kind](), strict=True)
        }
        alone = self._stem(result.method, result.target) + _GB
        renamed = self.guided_name(result.method, result.target, first)
        return {renamed if name == alone else name: content for name, content in files.items()}

    def left_out(self, method: str, target: ImageTarget, why: str) -> dict[str, bytes]:
        """Return the files of a map that was not made: what is known about it, if that is to be saved."""
        if "json" not in self.kinds:
            return {}
        record = _picture_record(self.drawing) | {"method": method, "left_out": why}
        return {f"{self._stem(method, target)}.json": json_file(record)}

    def grid(self, results: Sequence[MapResult]) -> dict[str, bytes]:
        """Return the file that shows all maps, if there are several."""
        if len(results) < 2 or "overlay" not in self.kinds or all(result.map is None for result in results):
            return {}
        return {GRID: self._jpeg(map_grid(self.drawing, results))}

    def guided_name(self, method: str, target: ImageTarget, first: ImageTarget) -> str:
        """Return the file of guided backpropagation alone: one for all methods, if there are several."""
        if not self._shares_guided:
            return self._stem(method, target) + _GB
        return self._stem(GUIDED, first if target is None else target) + _GB

    @property
    def _shares_guided(self) -> bool:
        return len(self.drawing.options.method) > 1

    @property
    def _comment(self) -> str:
        return comment_for(self.drawing.source, self.drawing.options.page)

    def _jpeg(self, image: NDArray[np.uint8]) -> bytes:
        return encoded_image("a.jpg", image, self._comment)

    def _stem(self, method: str, target: ImageTarget) -> str:
        """Return what the files of one map begin with."""
        if method != GUIDED and method_class(method).uses_targets:
            options = self.drawing.options
            method += ("_rest" if options.rest else "") + ("_against" if options.against else "")
        if target is None or not (self.several or isinstance(target, ClassContrast)):
            return method
        return f"{method}_{target_slug(target, self.drawing.loaded.categories)}"

    def _boxes(self, result: MapResult) -> list[bytes]:
        boxes = self.drawing.boxes(result)
        return [self._jpeg(draw_boxes(self.drawing.image, boxes)), json_file([asdict(box) for box in boxes])]


def target_slug(target: ImageTarget, categories: tuple[str, ...] | None) -> str:
    """Write a target as a part of a file's name."""
    return re.sub(r"[^\w]+", "_", target_label(target, categories).lower())[:_SLUG].strip("_")


def _array(values: NDArray[np.float32]) -> bytes:
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()


def _map_record(drawing: ImageDrawing, result: MapResult) -> dict[str, Any]:
    """Return everything that is known about a map, as JSON can write it."""
    loaded, options = drawing.loaded, drawing.options
    seen = predictions(result.outputs, loaded, result.kind, MOST_PREDICTIONS) or []
    measure = "number" if result.kind is not None and result.kind.name == NONE else "share"
    box = drawing.object_box(result)

    def named_class(index: int) -> dict[str, Any]:
        return {"index": index, "name": class_name(index, loaded.categories)}

    return _picture_record(drawing) | {
        "predicted": [named_class(index) | {measure: round(share, 6)} for index, share in seen],
        "scores": None if result.kind is None else result.kind.record(),
        "method": result.method,
        "class": None if result.category is None else named_class(result.category),
        "rather_than": named_class(result.target.second) if isinstance(result.target, ClassContrast) else None,
        "rather_than_rest": result.rest,
        "against": result.against,
        "score": result.score if result.score is not None and math.isfinite(result.score) else None,
        "object": None if box is None else {side: getattr(box, side) for side in ("left", "top", "right", "bottom")},
        "layers": list(result.layers),
        "passes": None if result.passes is None else round(result.passes, 1),
        "fewer_samples": dict(result.fewer_samples),
        "aug_smooth": options.aug_smooth,
        "eigen_smooth": options.eigen_smooth,
        "seed": options.seed,
        "box_threshold": options.box_threshold,
        "boxes": [asdict(box) for box in drawing.boxes(result)],
        "notes": result.notes,
        "version": __version__,
    }


def _picture_record(drawing: ImageDrawing) -> dict[str, Any]:
    """Return what the records of all maps of a picture have in common."""
    return {
        "picture": drawing.source,
        "page": drawing.options.page,
        "height": drawing.image.shape[0],
        "width": drawing.image.shape[1],
        "model": drawing.loaded.source,
    }
