"""How the maps of one picture are drawn: each blended with it or alone, and all of them in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.bases.input_cam import INPUT
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.engine.boxes import Box, boxes_from_map
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.picture_targets import (
    ClassContrast,
    DetectedObjectTarget,
    ImageTarget,
    class_share,
    predictions,
    shared_label,
)
from pytorch_grad_cam.targets.class_choices import class_label
from pytorch_grad_cam.targets.score_kinds import ScoreKind
from pytorch_grad_cam.visualization.colormaps import DIVERGING, clip_outliers, colormap_number, lowest_value
from pytorch_grad_cam.visualization.figure import figure
from pytorch_grad_cam.visualization.overlay import draw_boxes, heat_map, overlay_map
from pytorch_grad_cam.visualization.sheet import contact_sheet, labelled_grid
from pytorch_grad_cam.visualization.text import isolated

CLIPPED = 99  # percentile of a map of single pixels that has the full colour already
MANY = 8  # methods of one class in a column; more are laid out line by line, to fit on a screen
Overlays = dict[str, list[NDArray[np.uint8] | None]]  # by method and column; None for a map that means nothing


@dataclass(frozen=True)
class ImageDrawing:
    """One picture and how its maps are drawn."""

    source: str  # the picture's path, as it was given
    image: NDArray[np.uint8]  # RGB (H, W, 3)
    loaded: LoadedModel
    options: ExplainOptions

    def colormap(self, signed: bool) -> int:
        """Return the number of the colours; signed maps have their own unless such were chosen."""
        chosen = colormap_number(self.options.colormap)
        return DIVERGING if signed and not lowest_value(chosen) else chosen

    def on_image(self, map: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a map in the image's pixels, ``(H, W)``, NaN where the network never looked."""
        return self.loaded.preprocessing.to_picture(map, self.image.shape[:2])

    def seen_share(self) -> float:
        """Return which share of the image the network saw, in [0, 1]."""
        return float(np.isfinite(self.on_image(np.zeros((1, 1), np.float32))).mean())

    def shown(self, result: MapResult) -> NDArray[np.float32]:
        """Return a map as it is coloured, ``(H, W)``: of one of single pixels, outliers do not leave the rest dark."""
        assert result.map is not None
        return self.on_image(clip_outliers(result.map, CLIPPED) if result.fine_grained else result.map)

    def overlay(self, result: MapResult) -> NDArray[np.uint8]:
        """Blend a map with the image, and draw the box of the object that it explains."""
        options, colormap = self.options, self.colormap(result.signed)
        overlay = overlay_map(self.image, self.shown(result), True, colormap, options.image_weight, options.blend)
        box = self.object_box(result)
        return overlay if box is None else draw_boxes(overlay, [box], colour=(255, 255, 255))

    def heat_map(self, result: MapResult) -> NDArray[np.uint8]:
        """Draw a map alone."""
        return heat_map(self.shown(result), self.colormap(result.signed))

    def figure(self, result: MapResult) -> NDArray[np.uint8]:
        """Draw image, overlay and map under a title that says what is explained."""
        box = self.object_box(result)
        return figure(
            self.image,
            self.shown(result),
            _title(result, self.loaded),
            _about(result, self.loaded),
            signed=result.signed,
            colormap=self.colormap(result.signed),
            blend=self.options.blend,
            image_weight=self.options.image_weight,
            boxes=[] if box is None else [box],
            dark=self.options.dark,
        )

    def guided(self, result: MapResult, gradients: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw guided backpropagation ``(h, w, C)`` alone, and times the map."""
        assert result.map is not None
        return (
            self._pixels_on_image(_readable(gradients)),
            self._pixels_on_image(_readable(gradients * result.map[:, :, None])),
        )

    def object_box(self, result: MapResult) -> Box | None:
        """Return the box of the object that a map explains, in the image's pixels; None if it explains no object."""
        if not isinstance(result.target, DetectedObjectTarget) or result.map is None:
            return None
        height, width = result.map.shape
        return result.target.box_on_image(self.loaded.preprocessing, (height, width), self.image.shape[:2])

    def boxes(self, result: MapResult) -> list[Box]:
        """Return the boxes around what a map points at; of a contrast, what speaks for its first class."""
        assert result.map is not None
        return boxes_from_map(np.maximum(self.on_image(result.map), 0), self.options.box_threshold, "all")

    def _pixels_on_image(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Put ``(h, w, C)`` onto the image's pixels; what the network never saw is middle gray."""
        bands = np.stack([self.on_image(band) for band in np.moveaxis(pixels, 2, 0)], axis=2)
        placed = np.round(np.nan_to_num(bands, nan=127)).astype(np.uint8)
        return np.repeat(placed, 3, axis=2) if placed.shape[2] == 1 else placed


def map_grid(drawing: ImageDrawing, results: Sequence[MapResult]) -> NDArray[np.uint8]:
    """Draw all maps of a picture, at least one: methods x targets; of many methods and one target a sheet."""
    targets = list(dict.fromkeys(result.target for result in results if result.category is not None)) or [None]
    explained = [next((each for each in results if each.target == target and each.category is not None), results[0])
                 for target in targets]  # fmt: skip
    names = drawing.loaded.categories
    labels = [shared_label(each.category, each.target, each.outputs, each.kind, names) for each in explained]
    overlays = _overlays(drawing, results, targets)
    if len(targets) == 1 and len(overlays) > MANY:
        tiles = {name: row[0] for name, row in overlays.items() if row[0] is not None}
        return contact_sheet([drawing.image, *tiles.values()], [labels[0] or "picture", *tiles], side=224)
    colormap = drawing.colormap(any(result.signed for result in results))
    cells = [[drawing.image, *row] for row in overlays.values()]
    return labelled_grid(cells, list(overlays), ["picture", *labels], colormap=colormap)


def _overlays(drawing: ImageDrawing, results: Sequence[MapResult], targets: Sequence[ImageTarget]) -> Overlays:
    """Draw the overlays of each method, named as people shall read it; one that looks at no class repeats its map."""
    by_request = {(result.method, result.target): result for result in results}
    overlays: Overlays = {}
    for method in dict.fromkeys(result.method for result in results):
        classless = all(result.category is None for result in results if result.method == method)
        row = [by_request[method, None if classless else target] for target in targets]
        overlays[f"{method} (no class)" if classless else method] = [
            None if result.map is None else drawing.overlay(result) for result in row
        ]
    return overlays


def _readable(gradients: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw gradients: 0 is middle gray, and the few largest ones do not leave all others as gray."""
    return np.round(127.5 + 127.5 * clip_outliers(gradients, CLIPPED)).astype(np.uint8)


def _title(result: MapResult, loaded: LoadedModel) -> str:
    """Say what a map explains, and how sure the network is of it."""
    target = result.target
    if isinstance(target, ClassContrast):
        return target.name(loaded.categories)
    if isinstance(target, DetectedObjectTarget):
        return f"{isolated(target.name(loaded.categories))}, {100 * target.detected.score:.1f} %"
    if result.category is None:
        return f"{result.method}, whatever the class"
    share = _share(result.category, result.outputs, result.kind, loaded)
    name = isolated(class_label(result.category, loaded.categories))
    sure = f", {100 * share:.1f} %" if share is not None else ""
    rest = " rather than any other" if result.rest else ""
    return f"{'what speaks against ' if result.against else ''}{name}{rest}{sure}"


def _share(category: int, outputs: Any, kind: ScoreKind | None, loaded: LoadedModel) -> float | None:
    """Return how sure the network is of a class or, of a segmentation, which share of the picture it fills."""
    if loaded.task != "classification":
        every = len(loaded.categories or ()) or 1000
        return dict(predictions(outputs, loaded, kind, every) or []).get(category)
    return class_share(category, outputs, kind)


def _about(result: MapResult, loaded: LoadedModel) -> list[str]:
    """Say how a map was made, and what its colours mean where that does not go without saying."""
    layers = [layer for layer in result.layers if layer != INPUT]
    where = f"at {', '.join(layers[:3])}{', ...' if len(layers) > 3 else ''}" if layers else "at the picture itself"
    lines = [f"{result.method} {where} of {loaded.source.partition(',')[0]}"]
    if isinstance(result.target, ClassContrast):
        first, second = (class_label(index, loaded.categories) for index in (result.target.first, result.target.second))
        lines.append(f"for {first}, against it: for {second}")
    if result.fine_grained:
        lines.append(f"full colour from the {CLIPPED}th percentile on")
    return lines
