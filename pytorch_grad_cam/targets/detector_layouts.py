"""What detectors outside of torchvision return, by the name of the form: YOLO heads and DETR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.engine.trees import tensors_in
from pytorch_grad_cam.targets.detection import Detections, Reader, are_detections, as_detections, corners_of

LAYOUTS = ("yolov5", "yolov8", "yolo26", "detr")
_ROWS = {"yolov5": "(N, 5 + M)", "yolov8": "(4 + M, N)", "yolo26": "(N, 6)"}
_MOST_NORMALISED = 2.0  # sides of boxes that are shares of the picture, with room for those that reach out of it


@dataclass(frozen=True)
class LayoutReader:
    """Reads one image's output of a detector as `Detections`.

    Attributes:
        layout: one of `LAYOUTS`. "yolov5": rows of centre, size, how sure it is of an object, and of each of ``M``
            classes, ``(N, 5 + M)``. "yolov8": columns of centre, size and classes, ``(4 + M, N)``. "yolo26", of YOLO
            networks that suppress boxes themselves and of RT-DETR: rows of a box, its score and its class, ``(N, 6)``.
            "detr": ``pred_boxes``, shares of the picture, and ``logits`` or ``pred_logits`` whose last class is "no
            object".
        classes: how many there are, where more numbers stand behind them, as those of masks; None: all that are there.
        size: height and width of the network's input, in which boxes are given that are shares of it.
    """

    layout: str
    classes: int | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"the layout {self.layout!r} is unknown; known are {', '.join(LAYOUTS)}")

    def __call__(self, output: Any) -> Detections:
        """Read the output of one image, in which the first tensor counts if there are several.

        Raises:
            ValueError: if it has another form.
        """
        if self.layout == "detr":
            return self._detr(output)
        table = next(tensors_in(output), None)
        has_six = table is not None and table.ndim == 2 and table.shape[1] == 6
        if table is None or table.ndim != 2 or (self.layout == "yolo26" and not has_six):
            form = type(output).__name__ if table is None else f"a tensor {tuple(table.shape)}"
            raise NoScoresError(
                f"the model returns {form} for an image, not the {_ROWS[self.layout]} of {self.layout}",
                f"choose another of the layouts {', '.join(LAYOUTS)}, or a reader of your own",
            )
        if self.layout == "yolo26":
            boxes = self._in_pixels(table[:, :4], are_corners=_are_corners(table))
            return Detections(boxes, table[:, 4], table[:, 5].long())
        rows = table.T if self.layout == "yolov8" else table
        first = 4 if self.layout == "yolov8" else 5
        scores = rows[:, first : None if self.classes is None else first + self.classes]
        if self.layout == "yolov5":
            scores = scores * rows[:, 4:5]
        return Detections(corners_of(rows[:, :4]), scores)

    def _detr(self, output: Any) -> Detections:
        boxes, logits = _part(output, "pred_boxes"), _part(output, "logits", "pred_logits")
        if boxes is None or logits is None:
            raise NoScoresError(
                f"the model returns {type(output).__name__} for an image, without pred_boxes and logits of detr",
                f"choose another of the layouts {', '.join(LAYOUTS)}, or a reader of your own",
            )
        return Detections(self._in_pixels(boxes, are_corners=False), logits.softmax(-1)[:, :-1])

    def _in_pixels(self, boxes: Tensor, are_corners: bool) -> Tensor:
        corners = boxes if are_corners else corners_of(boxes)
        if self.size is None or (len(corners) and float(corners.detach().max()) > _MOST_NORMALISED):
            return corners
        height, width = self.size
        return corners * corners.new_tensor([width, height, width, height])


def reader_for(outputs: Any, layout: str | None = None, size: tuple[int, int] | None = None) -> Reader | None:
    """Return what reads one image's part of a detector's outputs for a batch; None if no detector's form is known.

    Args:
        outputs: of the network, for a batch.
        layout: one of `LAYOUTS`, where the form does not say it.
        size: height and width of the network's input.
    """
    if layout is not None:
        return LayoutReader(layout, _class_count(outputs), size)
    if are_detections(outputs):
        return as_detections
    table = _head_of_ultralytics(outputs)
    if table is None:
        return None
    return LayoutReader("yolo26" if table.shape[2] == 6 else "yolov8", _class_count(outputs), size)


def _head_of_ultralytics(outputs: Any) -> Tensor | None:
    """Return the boxes ``(B, 4 + M, N)`` or ``(B, N, 6)`` of what ultralytics' networks return; None if it is not that.

    They return boxes and, behind these, what the boxes were made of: a mapping, before version 8.4 a list of maps.
    """
    if not isinstance(outputs, (tuple, list)) or len(outputs) < 2:
        return None
    table, rest = next(tensors_in(outputs[0]), None), outputs[-1]
    if table is None or table.ndim != 3:
        return None
    if isinstance(rest, Mapping):
        return table if {"boxes", "scores", "feats"} <= set(rest) or {"one2many", "one2one"} <= set(rest) else None
    maps = [part for part in tensors_in(rest) if part.ndim == 4 and len(part) == len(table)]
    same = len(maps) > 0 and sum(part.shape[2] * part.shape[3] for part in maps) == table.shape[2]
    return table if same else None


def _class_count(outputs: Any) -> int | None:
    rest = outputs[-1] if isinstance(outputs, (tuple, list)) and outputs else None
    if not isinstance(rest, Mapping):
        return None
    scores = (rest.get("one2many") or rest).get("scores")
    return scores.shape[1] if isinstance(scores, Tensor) and scores.ndim == 3 else None


def _are_corners(table: Tensor) -> bool:
    """Say whether rows begin with left, top, right, bottom rather than centre and size, as RT-DETR's do."""
    boxes = table[:, :4].detach()
    return bool((boxes[:, 2:] >= boxes[:, :2]).all()) or bool(boxes.max() > _MOST_NORMALISED)


def _part(output: Any, *names: str) -> Tensor | None:
    for name in names:
        part = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(part, Tensor):
            return part
    return None
