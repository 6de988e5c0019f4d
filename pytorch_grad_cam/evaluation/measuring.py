"""One row on one batch: its maps, what they cost, and every metric of them."""

from __future__ import annotations

import base64
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam.evaluation.batches import ImageBatch
from pytorch_grad_cam.evaluation.candidates import Candidate
from pytorch_grad_cam.evaluation.passes import with_cost
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import DataSetMetric, Metric
from pytorch_grad_cam.metrics.questions import SCORINGS, Scoring
from pytorch_grad_cam.metrics.references import uniform_maps
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.targets.classification import Target


@dataclass(frozen=True)
class Measurement:
    """What is measured, and how."""

    metrics: Mapping[str, Metric]
    seed: int
    batch_size: int
    score: Scoring
    thumbnails: int  # side of the small maps that are kept; 0: none
    networks: dict[Hashable, nn.Module] = field(default_factory=dict)  # with random weights, for all rows and batches

    def __post_init__(self) -> None:
        if self.score not in SCORINGS:
            raise ValueError(f"score={self.score!r} is unknown; give one of {', '.join(map(repr, SCORINGS))}")


def scored_case(model: Any, batch: ImageBatch, measurement: Measurement) -> Case:
    """Return the case that the rows of a batch share; its own maps are nobody's."""
    return Case(
        batch.inputs,
        uniform_maps(batch.inputs),
        batch.targets,
        model,
        masks=batch.masks,
        boxes=batch.boxes,
        batch_size=measurement.batch_size,
        seed=measurement.seed,
        score=measurement.score,
        networks=measurement.networks,
    )


def measure(row: Candidate, case: Case, measurement: Measurement, first: int) -> dict[str, Any]:
    """Explain the images of a case and measure the maps.

    Args:
        row: what explains.
        case: of the batch.
        measurement: what is measured.
        first: number of the first image.

    Returns:
        What `Comparison` is made of, as JSON can write it. A method that fails has the reason and nothing else.
    """

    def explain(inputs: Tensor, targets: Sequence[Target], model: Any) -> Any:
        return row.maps(inputs, targets, model, first)

    asked = case.explained_targets  # which may take a pass that is not the row's
    try:
        row.fix(case.inputs)
        maps, cost = with_cost(case.model, lambda: explain(case.inputs, asked, case.model))
        own = case.with_maps(maps, explain)
    except Exception as error:  # of a method that does not suit the network: the others do
        return {"reason": in_one_line(error)}
    values: dict[str, Any] = {}
    statistics: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for label, metric in measurement.metrics.items():
        if metric.joint:  # of groups, see `evaluation.groups`
            continue
        try:
            found = metric.statistics(own)
            values[label] = metric.of_statistics(found).tolist()
            if isinstance(metric, DataSetMetric):
                statistics[label] = found.tolist()
        except Exception as error:  # as above
            reasons[label] = in_one_line(error)
    return {
        "layers": list(row.layers),
        "forward": cost.forward,
        "backward": cost.backward,
        "seconds": cost.seconds,
        "maps": len(own.maps),
        "values": values,
        "statistics": statistics,
        "reasons": reasons,
        "thumbnails": [_thumbnail(map, measurement.thumbnails) for map in own.unit_maps]
        if measurement.thumbnails and own.maps.ndim == 3
        else None,
    }


def _thumbnail(map: Tensor, side: int) -> str | None:
    """Return a small gray PNG of a map in [0, 1], as text; None for a map with NaN."""
    import cv2

    if not bool(map.isfinite().all()):
        return None
    height, width = map.shape
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = F.interpolate(map[None, None].float(), size, mode="area")[0, 0]
    pixels = (small.clamp(0, 1) * 255).round().byte().cpu().numpy()
    return base64.b64encode(cv2.imencode(".png", np.ascontiguousarray(pixels))[1].tobytes()).decode()
