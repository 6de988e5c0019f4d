"""Rows of a comparison: what was measured of each, put together from the records of all batches."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytorch_grad_cam.evaluation.candidates import Candidate
from pytorch_grad_cam.evaluation.statistics import Groups, Values
from pytorch_grad_cam.metrics.metric import DataSetMetric, Metric

_NO_GROUP = (
    "it puts pictures together that the network knows, of different classes, and there are not enough of these; give "
    "more pictures, or the metric with another least probability"
)


@dataclass(frozen=True)
class Row:
    """A method at its layers, or a reference map, and what was measured of it.

    Attributes:
        id: as people read it; unique.
        method: its name.
        layers: that were looked at, by name.
        kind: "method" or "reference".
        reason: why there are no maps, or not of all images; None if there are all.
        maps: how many there are.
        forward: passes per map, also those that begin behind the layer; None without maps.
        backward: likewise.
        milliseconds: per map, in the fastest batch: the first one warms up; None without maps.
        values: by metric, one for each image; NaN where it could not be judged.
        groups: by metric that puts images together, the number of the group that each image is in; -1 for none.
        statistics: by metric whose number of a data set is no mean, what it is made of, ``(n, ...)``.
        reasons: by metric, why it could not be measured at all.
        thumbnails: small gray PNG files of the maps, one for each image; None where there is none.
    """

    id: str
    method: str
    layers: tuple[str, ...]
    kind: str
    reason: str | None
    maps: int
    forward: float | None
    backward: float | None
    milliseconds: float | None
    values: Mapping[str, Values]
    groups: Mapping[str, Groups]
    statistics: Mapping[str, Values]
    reasons: Mapping[str, str]
    thumbnails: tuple[bytes | None, ...]


@dataclass(frozen=True)
class EvaluatedImage:
    """One image: what it is called, the class that was explained, and its score."""

    id: str
    category: int | None
    label: str | None
    score: float | None


def is_mean(metric: Metric) -> bool:
    """Say whether a metric of a data set is the mean of those of its images."""
    return not isinstance(metric, DataSetMetric)


def images_of(record: Mapping[str, Any], categories: Sequence[str] | None) -> list[EvaluatedImage]:
    """Return the images of a batch from the record about them."""

    def label(category: int | None) -> str | None:
        known = categories is not None and category is not None and 0 <= category < len(categories)
        return categories[category] if known else None  # type: ignore[index]

    return [
        EvaluatedImage(id, category, label(category), score)
        for id, category, score in zip(record["ids"], record["classes"], record["scores"], strict=True)
    ]


def row_of(
    candidate: Candidate,
    records: Sequence[Mapping[str, Any]],
    about: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Metric],
) -> Row:
    """Put together what was measured of a row, batch after batch; ``about`` are the records about the images."""
    counts = [len(record["ids"]) for record in about]
    ungrouped = next((record["ungrouped"] for record in about if record["ungrouped"]), _NO_GROUP)
    good = [record for record in records if "maps" in record]
    maps = sum(record["maps"] for record in good)
    reasons: dict[str, str] = {}
    for record in good:
        reasons |= record["reasons"]
    for label, metric in metrics.items():
        if metric.joint and good and not any(record["joint"].get(label) for record in good):
            reasons.setdefault(label, ungrouped)
    failed = [record["reason"] for record in records if "maps" not in record]
    paces = [1000 * record["seconds"] / record["maps"] for record in good]
    thumbnails = [
        image
        for record, count in zip(records, counts, strict=True)
        for image in (record.get("thumbnails") or [None] * count)
    ]
    return Row(
        candidate.id,
        candidate.name,
        tuple(good[0]["layers"]) if good else tuple(candidate.wanted or ()),
        candidate.kind,
        failed[0] if failed else None,
        maps,
        sum(record["forward"] for record in good) / maps if maps else None,
        sum(record["backward"] for record in good) / maps if maps else None,
        min(paces, default=None),
        {
            label: _joint_values(label, records, counts) if metric.joint else _values("values", label, records, counts)
            for label, metric in metrics.items()
        },
        {label: _groups(label, records, counts) for label, metric in metrics.items() if metric.joint},
        {label: _values("statistics", label, records, counts) for label in metrics if not is_mean(metrics[label])},
        reasons,
        tuple(None if image is None else base64.b64decode(image) for image in thumbnails),
    )


def _values(kind: str, label: str, records: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> Values:
    """Join the values, or statistics, of the batches; NaN for images without a map or a measure."""
    found = [record.get(kind, {}).get(label) for record in records]
    shape = next((np.shape(values)[1:] for values in found if values is not None), ())
    parts = [
        np.full((count, *shape), np.nan) if values is None else np.array(values, dtype=np.float64)
        for values, count in zip(found, counts, strict=True)
    ]
    return np.concatenate(parts)


def _joint_values(label: str, records: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> Values:
    """Put the values of groups of images where the images are; NaN for those that are in none."""
    values = np.full(sum(counts), np.nan)
    for record in records:
        for index, value, _ in record.get("joint", {}).get(label, ()):
            values[index] = value
    return values


def _groups(label: str, records: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> Groups:
    numbers = np.full(sum(counts), -1)
    for record in records:
        for index, _, number in record.get("joint", {}).get(label, ()):
            numbers[index] = number
    return numbers


def named_apart(rows: Sequence[Row]) -> list[Row]:
    """Give rows of the same name a number: the automatic layer may be one that was named, too."""
    seen: dict[str, int] = {}
    result = []
    for row in rows:
        seen[row.id] = seen.get(row.id, 0) + 1
        result.append(row if seen[row.id] == 1 else dataclasses.replace(row, id=f"{row.id} ({seen[row.id]})"))
    return result
