"""Targets for detectors, and what these return: boxes, scores and classes of one image, in whatever form."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.engine.boxes import Box
from pytorch_grad_cam.engine.trees import tensors_in
from pytorch_grad_cam.targets.classification import Target

_SHOWN = 6  # classes in a message


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
    if not isinstance(outputs, (tuple, list)) or not outputs:
        return False
    return all(isinstance(image, Mapping) and {"boxes", "scores", "labels"} <= set(image) for image in outputs)


class BoxTarget:
    """Scores an image by how sure a detector is of one object: by the detection that lies where the object's box is.

    Of the detections of that class that overlap the box by more than ``least_overlap`` the one with the highest overlap
    times score counts; without any, the score is 0, still with a graph. Boxes that were suppressed cannot be found.

    Args:
        box: left, top, right, bottom, in the model's units (mostly pixels of its input); array, tensor or numbers.
        category: class index; None: any class.
        overlap_counts: explain overlap times score, so also what puts the box where it is.
        least_overlap: intersection over union, in [0, 1).
        read: from one image's output to `Detections`.

    Source: overlap times score is the similarity of V. Petsiuk et al., 2021, "Black-box Explanation of Object Detectors
    via Saliency Maps" (D-RISE), arXiv:2006.03204, for a one-hot class.
    """

    def __init__(
        self,
        box: Any,
        category: int | None = None,
        *,
        overlap_counts: bool = False,
        least_overlap: float = 0.5,
        read: Reader = as_detections,
    ) -> None:
        self.box = torch.as_tensor(box).detach()
        if self.box.shape != (4,) or not bool((self.box[2:] > self.box[:2]).all()):
            raise ValueError(
                f"the box {self.box.tolist()} is none; give left, top, right, bottom, with right > left and "
                "bottom > top (corners_of turns centre and size into these)"
            )
        self.category, self.overlap_counts = category, overlap_counts
        self.least_overlap, self.read = least_overlap, read

    def __call__(self, model_output: Any) -> Tensor:
        detections = self.read(model_output)
        best, overlap, scores = self._match(detections)
        if best is None:
            return _zero(detections.boxes, detections.scores)
        return scores[best] * overlap[best] if self.overlap_counts else scores[best]

    def fixed_on(self, model_output: Any) -> BoxTarget:
        """Return the target itself, and warn if nothing matches, since its map then means nothing."""
        best, overlap, _ = self._match(self.read(model_output))
        if best is None:
            closest = "there is none at all"
            if len(overlap):
                closest = f"the best overlap of any is {float(overlap.max()):.2f}"
            what = "" if self.category is None else f" of class {self.category}"
            warnings.warn(
                f"no detection{what} overlaps the box {[round(side, 1) for side in self.box.tolist()]} by more than "
                f"{self.least_overlap}; {closest}; detected_objects lists what the model finds",
                UserWarning,
                stacklevel=2,
            )
        return self

    def _match(self, detections: Detections) -> tuple[int | None, Tensor, Tensor]:
        """Return the index of the detection that is meant, all overlaps ``(D,)`` and all scores ``(D,)``."""
        scores, overlap = detections.scores, overlaps(self.box.to(detections.boxes), detections.boxes)
        fits = overlap > self.least_overlap
        if scores.ndim > 1:
            scores = scores.amax(1) if self.category is None else scores[:, _checked_category(self.category, scores)]
        elif self.category is not None and detections.labels is not None:
            fits = fits & (detections.labels == self.category)
        if not bool(fits.any()):
            return None, overlap, scores
        return int((overlap * scores).detach().masked_fill(~fits, -torch.inf).argmax()), overlap, scores


class StrongestDetectionTarget:
    """Scores an image by its surest detection, of one class or of any; which that is, the unchanged image decides.

    Args:
        category: class index; None: any class.
        read: from one image's output to `Detections`.
    """

    def __init__(self, category: int | None = None, read: Reader = as_detections) -> None:
        self.category, self.read = category, read

    def __call__(self, model_output: Any) -> Tensor:
        strongest = self._strongest(model_output)
        return _zero(*self.read(model_output)[:2]) if strongest is None else strongest.target(model_output)

    def fixed_on(self, model_output: Any) -> BoxTarget:
        """Return the target of the box that is the strongest now.

        Raises:
            ValueError: if there is none.
        """
        strongest = self._strongest(model_output)
        if strongest is not None:
            return strongest.target
        others = detected_objects(model_output, 0.0, read=self.read)
        classes = ", ".join(list(dict.fromkeys(str(other.category) for other in others))[:_SHOWN])
        what = "" if self.category is None else f" of class {self.category}"
        hint = f"it finds classes {classes}" if classes else "it finds nothing; lower its score threshold"
        raise ValueError(f"the detector finds no object{what} in this image, so there is none to explain; {hint}")

    def _strongest(self, model_output: Any) -> DetectedObject | None:
        objects = detected_objects(model_output, 0.0, read=self.read)
        return next((detected for detected in objects if self.category in (None, detected.category)), None)


@dataclass(frozen=True)
class DetectedObject:
    """Describes one object that a detector found.

    Attributes:
        box: left, top, right, bottom, in the model's units.
        category: class index.
        score: how sure the detector is.
    """

    box: tuple[float, float, float, float]
    category: int
    score: float
    read: Reader = field(default=as_detections, repr=False)

    @property
    def target(self) -> BoxTarget:
        """Return the target that explains it: the score of this class in this place."""
        return BoxTarget(self.box, self.category, read=self.read)

    @property
    def outline(self) -> Box:
        """Return what `draw_boxes` draws, where the box is in pixels of the picture."""
        left, top, right, bottom = (max(0, round(side)) for side in self.box)
        return Box(left, top, right, bottom, (right - left) * (bottom - top), self.score)


def detected_objects(
    model_output: Any,
    least_score: float = 0.5,
    at_most: int | None = None,
    read: Reader = as_detections,
    most_overlap: float = 0.45,
) -> list[DetectedObject]:
    """List what a detector found in one image, the surest first.

    Args:
        model_output: of one image, e.g. ``model(images)[0]``.
        least_score: of an object that counts.
        at_most: number of objects; None: all.
        read: from it to `Detections`.
        most_overlap: of two boxes of one class with more overlap only the surer one stays, where the scores have
            classes; labelled boxes were suppressed by the detector itself.
    """
    boxes, scores, labels = (None if part is None else part.detach().cpu() for part in read(model_output))
    assert boxes is not None
    assert scores is not None
    suppress = labels is None
    if scores.ndim > 1:
        scores, labels = scores.max(1)
    assert labels is not None
    objects: list[DetectedObject] = []
    for index in scores.argsort(descending=True, stable=True).tolist():
        if scores[index] < least_score or len(objects) == at_most:
            break
        box, category = boxes[index], int(labels[index])
        rivals = box.new_tensor([surer.box for surer in objects if surer.category == category]).reshape(-1, 4)
        if not bool((box[2:] > box[:2]).all()) or (suppress and bool((overlaps(box, rivals) > most_overlap).any())):
            continue
        left, top, right, bottom = box.tolist()
        objects.append(DetectedObject((left, top, right, bottom), category, float(scores[index]), read))
    return objects


@dataclass(frozen=True)
class DetectorOutput:
    """Outputs of a detector for a batch, in a form that is known: that of torchvision, or of ultralytics' heads."""

    outputs: Any
    read: Reader = as_detections

    def top(self, rank: int = 0) -> list[Target]:
        images = len(self.outputs) if self.read is as_detections else len(next(tensors_in(self.outputs)))
        return [StrongestDetectionTarget(read=self.read) for _ in range(images)]

    def of_class(self, category: int) -> Target:
        return StrongestDetectionTarget(category, read=self.read)

    def contrast(self, first: int, second: int, batch: int) -> None:
        return None


class FasterRCNNBoxScoreTarget:
    """Scores an image by how well some boxes are still found: overlap plus score of the detection that overlaps most.

    A box counts 0 if that detection overlaps no more than a threshold, or is of another class.

    Args:
        labels: the class of each box.
        bounding_boxes: ``(N, 4)`` or a list of N: left, top, right, bottom in pixels; array or tensor, on any device.
        iou_threshold: least overlap (intersection over union), in [0, 1).

    Raises:
        ValueError: for different numbers of labels and boxes.
    """

    def __init__(self, labels: Sequence[int] | Tensor, bounding_boxes: Any, iou_threshold: float = 0.5) -> None:
        if len(labels) != len(bounding_boxes):
            raise ValueError(f"{len(labels)} labels for {len(bounding_boxes)} boxes; give one label per box")
        self.labels, self.bounding_boxes, self.iou_threshold = labels, bounding_boxes, iou_threshold

    def __call__(self, model_outputs: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the boxes' numbers, ``(1,)``."""
        boxes, scores = model_outputs["boxes"], model_outputs["scores"]
        total = _zero(boxes, scores)
        for box, label in zip(self.bounding_boxes, self.labels, strict=True):
            if len(boxes):
                overlap = overlaps(torch.as_tensor(box).to(boxes), boxes)  # (D,)
                best = overlap.argmax()
                if overlap[best] > self.iou_threshold and model_outputs["labels"][best] == label:
                    total = total + overlap[best] + scores[best]
        return total.reshape(1)


def _zero(boxes: Tensor, scores: Tensor) -> Tensor:
    """Return 0 with a graph, whatever the boxes hold and also where nothing was detected."""
    return boxes[:0].sum() + scores[:0].sum()


def _checked_category(category: int, scores: Tensor) -> int:
    if not 0 <= category < scores.shape[1]:
        raise IndexError(
            f"class {category} does not exist: the detector has {scores.shape[1]} classes, 0 to {scores.shape[1] - 1}"
        )
    return category
