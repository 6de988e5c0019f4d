"""How the maps of one picture are drawn: each blended with it or alone, and all of them in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.explain.targets import DetectedObjectTarget, ImageTarget, shared_label
from pytorch_grad_cam.data.pixels import deprocess_image
from pytorch_grad_cam.engine.boxes import Box, boxes_from_map
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.visualization.colormaps import DIVERGING
from pytorch_grad_cam.visualization.overlay import draw_boxes, heat_map, show_cam_on_image, show_signed_cam_on_image
from pytorch_grad_cam.visualization.sheet import contact_sheet, labelled_grid

MANY = 8  # methods of one class in a column; more are laid out line by line, to fit on a screen
Overlays = dict[str, list[NDArray[np.uint8] | None]]  # by method and column; None for a map that means nothing


@dataclass(frozen=True)
class ImageDrawing:
    """One picture and how its maps are drawn."""

    source: str  # the picture's path, as it was given
    image: NDArray[np.uint8]  # RGB (H, W, 3)
    loaded: LoadedModel
    options: ExplainOptions

    @property
    def colormap(self) -> int:
        """OpenCV's number of the colours."""
        return colormap_number(self.options.colormap)

    def on_image(self, map: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a map in the image's pixels, ``(H, W)``, NaN where the network never looked."""
        return self.loaded.preprocessing.to_picture(map, self.image.shape[:2])

    def overlay(self, result: MapResult) -> NDArray[np.uint8]:
        """Blend a map with the image, and draw the box of the object that it explains."""
        assert result.map is not None
        heat = self.on_image(result.map)
        weight = self.options.image_weight
        if result.signed:
            blend = show_signed_cam_on_image(self.image, heat, True, weight)
        else:
            blend = show_cam_on_image(self.image, heat, True, self.colormap, weight)
        box = self.object_box(result)
        return blend if box is None else draw_boxes(blend, [box], colour=(255, 255, 255))

    def heat_map(self, result: MapResult) -> NDArray[np.uint8]:
        """Draw a map alone."""
        assert result.map is not None
        return heat_map(self.on_image(result.map), DIVERGING if result.signed else self.colormap)

    def guided(self, result: MapResult, gradients: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw guided backpropagation ``(h, w, C)`` alone, and times the map."""
        assert result.map is not None
        return (
            self._pixels_on_image(deprocess_image(gradients)),
            self._pixels_on_image(deprocess_image(gradients * result.map[:, :, None])),
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


def colormap_number(name: str) -> int:
    """Return OpenCV's number of the colours with a name of `options.COLORMAPS`."""
    return int(getattr(cv2, f"COLORMAP_{name.upper()}"))


def map_grid(drawing: ImageDrawing, results: Sequence[MapResult]) -> NDArray[np.uint8]:
    """Draw all maps of a picture, at least one: methods x targets; of many methods and one target a sheet."""
    targets = list(dict.fromkeys(result.target for result in results if result.category is not None)) or [None]
    explained = [next((each for each in results if each.target == target and each.category is not None), results[0])
                 for target in targets]  # fmt: skip
    labels = [shared_label(each.category, each.target, each.outputs, drawing.loaded) for each in explained]
    overlays = _overlays(drawing, results, targets)
    if len(targets) == 1 and len(overlays) > MANY:
        tiles = {name: row[0] for name, row in overlays.items() if row[0] is not None}
        return contact_sheet([drawing.image, *tiles.values()], [labels[0] or "picture", *tiles], side=224)
    colormap = DIVERGING if any(result.signed for result in results) else drawing.colormap
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
