"""One map in numbers: the content of its JSON file."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.explain.drawing import ImageDrawing
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.cli.explain.predictions import MOST_PREDICTIONS, predictions
from pytorch_grad_cam.cli.explain.targets import ClassContrast


def map_record(drawing: ImageDrawing, result: MapResult) -> dict[str, Any]:
    """Return everything that is known about a map, as JSON can write it."""
    loaded, options = drawing.loaded, drawing.options
    seen = predictions(result.outputs, loaded, MOST_PREDICTIONS) or []
    box = drawing.object_box(result)

    def named_class(index: int) -> dict[str, Any]:
        names = loaded.categories
        return {"index": index, "name": names[index] if names and 0 <= index < len(names) else None}

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
