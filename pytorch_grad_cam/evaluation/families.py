"""Families of metrics: what each measures, and which of them say how good a map is."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.mosaics import Focus, GridPG
from pytorch_grad_cam.metrics.table import METRICS

FAITHFULNESS = "faithfulness"  # whether the model loses what the map marks
LOCALISATION = "localisation"  # whether the map marks the object
MASKING = "masking"  # the picture times its map; a map of ones changes nothing, so these say nothing alone
ROBUSTNESS = "robustness"  # whether the map stays the same where nothing changes
RANDOMISATION = "randomisation"  # whether the map depends on network, class and picture
COMPLEXITY = "complexity"  # how much the map marks
COMPOSITE = "composite"  # several of these in one number

FAMILIES = (FAITHFULNESS, LOCALISATION, COMPOSITE, MASKING, ROBUSTNESS, RANDOMISATION, COMPLEXITY)
# What a map that knows no network cannot win by what it is. Only these are asked who beats the reference maps.
OF_QUALITY = (FAITHFULNESS, LOCALISATION)

JointMetric = GridPG | Focus  # put several images together

_MASKING = ("average_drop", "average_increase", "average_gain", "average_drop_in_deletion", "confidence_change")
_COMPOSITE = ("adcc", "arcc")
# These measure the scale of a map's numbers above all, so they do not say which of two maps in [0, 1] is better.
_OF_SCALE = ("infidelity",)
# A metric that is computed from others says more than these; where both were measured, only it counts.
_MADE_OF = {
    "insertion_minus_deletion": ("insertion", "deletion"),
    "symmetric_relevance_gain": ("pixel_flipping_morf", "pixel_flipping_lerf", "aopc"),
    "road_combined": ("road_morf", "road_lerf"),
}


def family_of(metric: Metric) -> str:
    """Return the family of a metric: by what it needs, but for those whose name says more."""
    if metric.name in _MASKING or metric.name in _COMPOSITE:
        return MASKING if metric.name in _MASKING else COMPOSITE
    if any(needed in metric.needs for needed in ("masks", "boxes", "labels")) or metric.joint:
        return LOCALISATION
    if "explain" in metric.needs:
        return RANDOMISATION if "model" in metric.needs else ROBUSTNESS
    return FAITHFULNESS if "model" in metric.needs else COMPLEXITY


def quality_metrics(metrics: dict[str, Metric]) -> list[str]:
    """Return the names of those that say how good a map is, without those that others are made of."""
    parts = {*_OF_SCALE} | {part for metric in metrics.values() for part in _MADE_OF.get(metric.name, ())}
    return [
        name
        for name, metric in metrics.items()
        if family_of(metric) in OF_QUALITY and metric.higher_is_better is not None and metric.name not in parts
    ]


def parameters_of(metric: Metric) -> dict[str, Any]:
    """Return the parameters of a metric by name; none for a metric that has none."""
    return {field.name: getattr(metric, field.name) for field in fields(metric)} if is_dataclass(metric) else {}


def label_of(metric: Metric) -> str:
    """Return the name of a metric and those of its parameters that are not the table's: ``insertion(steps=7)``."""
    usual = parameters_of(METRICS[metric.name]) if metric.name in METRICS else {}
    own = [f"{name}={value}" for name, value in parameters_of(metric).items() if usual.get(name) != value]
    return f"{metric.name}({', '.join(own)})" if own else metric.name
