"""Groups of images for metrics that put several into one picture, found while the images pass by.

An image joins a group as soon as there is one that it completes, image by image: which groups there are does not depend
on the batches, and only images that wait for others are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.evaluation.candidates import Candidate
from pytorch_grad_cam.evaluation.families import JointMetric
from pytorch_grad_cam.evaluation.measuring import Measurement
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.mosaics import Focus, focus_groups, grid_groups, known_classes
from pytorch_grad_cam.metrics.references import uniform_maps
from pytorch_grad_cam.runs.error_text import in_one_line

_WAITING = 16  # images of one class that wait; of more, the first one gives up
_PRIME = 7919  # each group has a seed of its own, or the surest image would always lie in the same cell


@dataclass(frozen=True)
class _Waiting:
    index: int
    image: Tensor  # (C, *S)
    category: int
    confidence: float


@dataclass(frozen=True)
class Group:
    """Images that one metric puts together."""

    metric: str
    members: tuple[_Waiting, ...]
    number: int

    def case(self, model: Any, measurement: Measurement) -> Case:
        """Return the case that all rows share; its own maps are nobody's."""
        inputs = torch.stack([member.image for member in self.members])
        return Case(
            inputs,
            uniform_maps(inputs),
            [member.category for member in self.members],
            model,
            batch_size=measurement.batch_size,
            seed=measurement.seed + _PRIME * self.number,
            score=measurement.score,
        )


@dataclass
class Groups:
    """Finds the groups of all metrics that ask for some.

    Attributes:
        metrics: all of an evaluation.
        seed: of what is drawn.
    """

    metrics: Mapping[str, Metric]
    seed: int
    _waiting: dict[str, list[_Waiting]] = field(default_factory=dict)
    _found: Counter[str] = field(default_factory=Counter)

    @property
    def wanted(self) -> dict[str, JointMetric]:
        """The metrics that put images together."""
        return {label: metric for label, metric in self.metrics.items() if isinstance(metric, JointMetric)}

    def add(self, inputs: Tensor, first: int, about: Mapping[str, Any]) -> list[Group]:
        """Take images ``(B, C, *S)`` and return the groups that they complete.

        Args:
            inputs: of a batch.
            first: number of the first image.
            about: the batch's record, with classes and confidences.
        """
        done = []
        for label, metric in self.wanted.items():
            for offset, (category, confidence) in enumerate(zip(about["classes"], about["confidences"], strict=True)):
                if category is None or confidence < metric.least or self._found[label] >= metric.most:
                    continue
                members = self._complete(label, metric, _Waiting(first + offset, inputs[offset], category, confidence))
                if members:
                    done.append(Group(label, members, self._found[label]))
                    self._found[label] += 1
        return done

    def _complete(self, label: str, metric: JointMetric, new: _Waiting) -> tuple[_Waiting, ...]:
        waiting = self._waiting.setdefault(label, [])
        waiting.append(new)
        same = [each for each in waiting if each.image.shape == new.image.shape]
        cells = metric.side ** (new.image.ndim - 1)
        choose: Callable[..., list[tuple[int, ...]]] = focus_groups if isinstance(metric, Focus) else grid_groups
        classes, confidences = [each.category for each in same], [each.confidence for each in same]
        groups = choose(classes, confidences, cells, least=metric.least, most=1, seed=self.seed)
        if groups:
            members = tuple(same[place] for place in sorted(groups[0]))
            taken = {member.index for member in members}
            self._waiting[label] = [each for each in waiting if each.index not in taken]
            return members
        alike = [each for each in waiting if each.category == new.category]
        if len(alike) > _WAITING:
            waiting.remove(alike[0])
        return ()


def confidences_of(case: Case) -> tuple[list[float], str | None]:
    """Return how sure the network is of each image's class, and why no images can be put together, if so."""
    if case.model is None:
        return [0.0] * len(case.inputs), None
    try:
        return known_classes(case)[1], None
    except ValueError as error:  # a network of another kind: the other metrics go on
        return [0.0] * len(case.inputs), in_one_line(error)


def measure_groups(
    row: Candidate, cases: Sequence[tuple[Group, Case]], measurement: Measurement
) -> tuple[dict[str, list[tuple[int, float, int]]], dict[str, str]]:
    """Measure a row on groups; return by metric images, values and groups, and what failed."""
    values: dict[str, list[tuple[int, float, int]]] = {}
    reasons: dict[str, str] = {}
    for group, case in cases:
        number = group.number

        def explain(inputs: Tensor, targets: Any, model: Any, number: int = number) -> Any:
            return row.maps(inputs, targets, model, number)

        try:
            found = measurement.metrics[group.metric].of(case.with_maps(case.maps, explain)).tolist()
        except Exception as error:  # as of every metric: the others go on
            reasons[group.metric] = in_one_line(error)
            continue
        known = [(member.index, value, number) for member, value in zip(group.members, found, strict=True)]
        values.setdefault(group.metric, []).extend(known)
    return values, reasons
