"""All maps of one picture at a glance: a table, or of many methods a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.cli.explain.drawing import ImageDrawing
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.cli.explain.targets import ImageTarget, target_label
from pytorch_grad_cam.visualization.colormaps import DIVERGING
from pytorch_grad_cam.visualization.sheet import contact_sheet, labelled_grid

MANY = 8  # methods of one class in a column; more are laid out line by line, to fit on a screen
Overlays = dict[str, list[NDArray[np.uint8] | None]]  # by method and column; None for a map that means nothing


def map_grid(drawing: ImageDrawing, results: Sequence[MapResult]) -> NDArray[np.uint8]:
    """Draw all maps of a picture: methods x targets; of many methods and one target a sheet.

    Args:
        drawing: draws one map.
        results: of the picture, at least one of them with a map.
    """
    targets = list(dict.fromkeys(result.target for result in results if result.category is not None)) or [None]
    labels = _target_labels(drawing, results, targets)
    overlays = _overlays(drawing, results, targets)
    if len(targets) == 1 and len(overlays) > MANY:
        return _sheet(drawing, overlays, labels[0])
    colormap = DIVERGING if any(result.signed for result in results) else drawing.colormap
    cells = [[drawing.image, *row] for row in overlays.values()]
    return labelled_grid(cells, list(overlays), ["picture", *labels], colormap=colormap)


def _target_labels(drawing: ImageDrawing, results: Sequence[MapResult], targets: Sequence[ImageTarget]) -> list[str]:
    """Name the targets; the top class by what it is."""
    top = next((result.category for result in results if result.category is not None), None)
    return [target_label(top if target is None else target, drawing.loaded.categories) for target in targets]


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


def _sheet(drawing: ImageDrawing, overlays: Overlays, label: str) -> NDArray[np.uint8]:
    """Lay out the picture and each method's overlay of one target, line by line."""
    tiles = {name: row[0] for name, row in overlays.items() if row[0] is not None}
    return contact_sheet([drawing.image, *tiles.values()], [label or "picture", *tiles], side=224)
