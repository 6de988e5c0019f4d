"""What detectors return: boxes, scores and classes of one image, in whatever form, and how boxes overlap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pytorch_grad_cam.common.messages import NoScoresError


class Detections(NamedTuple):
    """Holds what a detector found in one image (or, with a batch axis in front, in several).

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
    boxes, scores, labels = (_field(model_output, name) for name in Detections._fields)
    if not isinstance(boxes, Tensor) or not isinstance(scores, Tensor) or (labels is None and scores.ndim < 2):
        is_tensor = isinstance(model_output, Tensor)
        form = f"a tensor {tuple(model_output.shape)}" if is_tensor else type(model_output).__name__
        keys = f" with {', '.join(map(repr, model_output))}" if isinstance(model_output, Mapping) else ""
        raise NoScoresError(
            f"the model returns {form}{keys} for an image, not boxes (D, 4), scores and labels",
            "give read=, a callable from that to pytorch_grad_cam.utils.detection_targets.Detections",
        )
    return Detections(boxes, scores, labels)


def _field(model_output: Any, name: str) -> Any:
    if isinstance(model_output, Tensor):
        return None
    return model_output.get(name) if isinstance(model_output, Mapping) else getattr(model_output, name, None)


def corners_of(boxes: Tensor) -> Tensor:
    """Turn ``(..., 4)`` boxes from centre x, centre y, width, height into left, top, right, bottom."""
    centres, halves = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centres - halves, centres + halves], -1)


def overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """Return the intersection over union of ``(4,)`` with each of ``(D, 4)``: ``(D,)``; 0 where both are empty."""
    sides = torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])  # (D, 2)
    intersection = sides.clamp_min(0).prod(1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - intersection
    return intersection / torch.where(union > 0, union, 1)


def are_detections(outputs: Any) -> bool:
    """Say whether a model's outputs for a batch are what torchvision's detectors return: a list with one dict each."""
    return (
        isinstance(outputs, (tuple, list))
        and bool(outputs)
        and all(isinstance(image, Mapping) and {"boxes", "scores", "labels"} <= set(image) for image in outputs)
    )
