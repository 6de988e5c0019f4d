"""What detectors return: boxes, scores and classes of one image, in whatever form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pytorch_grad_cam.common.errors import NoScoresError


class Detections(NamedTuple):
    """What a detector found in one image (or, with a batch axis in front, in several).

    Attributes:
        boxes: ``(D, 4)``: left, top, right, bottom.
        scores: ``(D,)``, or ``(D, M)`` with one per class, as heads give before boxes are suppressed; from 0.
        labels: ``(D,)`` the class of each box; None where the scores have classes.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor | None = None


Reader = Callable[[Any], Detections]


def as_detections(model_output: Any) -> Detections:
    """Read one image's ``boxes``, ``scores`` and, where there are any, ``labels``: of a mapping or a record.

    Raises:
        ValueError: for anything else; a reader of your own (``read=``) can turn it into `Detections`.
    """
    given = model_output
    parts = (
        [given.get(name) if isinstance(given, Mapping) else getattr(given, name, None) for name in Detections._fields]
        if not isinstance(given, Tensor)
        else [None] * 3
    )
    boxes, scores, labels = parts
    if not isinstance(boxes, Tensor) or not isinstance(scores, Tensor) or (labels is None and scores.ndim < 2):
        form = f"a tensor {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
        keys = f" with {', '.join(map(repr, given))}" if isinstance(given, Mapping) else ""
        raise NoScoresError(
            f"the model returns {form}{keys} for an image, not boxes (D, 4), scores and labels",
            "give read=, a callable from that to pytorch_grad_cam.utils.detection_targets.Detections",
        )
    return Detections(boxes, scores, labels)


def corners_of(boxes: Tensor) -> Tensor:
    """Turn ``(..., 4)`` boxes from centre x, centre y, width, height into left, top, right, bottom."""
    centres, halves = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centres - halves, centres + halves], -1)


def overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """Return the intersection over union of ``(4,)`` with each of ``(D, 4)``: ``(D,)``; 0 where both are empty."""
    sides = torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])  # (D, 2)
    shared = sides.clamp_min(0).prod(1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared
    return shared / torch.where(union > 0, union, 1)


def are_detections(outputs: Any) -> bool:
    """Say whether a model's outputs for a batch are what torchvision's detectors return: a list with one dict each."""
    return (
        isinstance(outputs, (tuple, list))
        and bool(outputs)
        and all(isinstance(each, Mapping) and {"boxes", "scores", "labels"} <= set(each) for each in outputs)
    )
