"""What can be asked about a picture, whatever the network does: classes, predicted regions, objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from pytorch_grad_cam.cli.classes import Top, Wanted, classes_of, named
from pytorch_grad_cam.cli.explain.contrast import Contrast
from pytorch_grad_cam.common.errors import NoScoresError
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.boxes import Box
from pytorch_grad_cam.engine.trees import one_image
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.detection import DetectedObject, detected_objects
from pytorch_grad_cam.targets.segmentation import dense_scores, predicted_classes

SURE = 0.5  # least score of an object that is explained without being asked for
MOST = 8  # of them


@dataclass(frozen=True)
class Thing:
    """One object that a detector found in a picture.

    Attributes:
        number: from 1, the surest first.
        found: where it is and what it is.
    """

    number: int
    found: DetectedObject

    def name(self, categories: tuple[str, ...] | None) -> str:
        """Write it for people: its number and class."""
        return f"{self.number} {_class_name(self.found.category, categories)}"

    def on_picture(self, preprocessing: Preprocessing, seen: tuple[int, int], size: tuple[int, int]) -> Box | None:
        """Return its box in the picture's pixels; None if none of it is there.

        Args:
            preprocessing: from the picture to what the network sees.
            seen: height and width of the latter.
            size: height and width of the picture.
        """
        left, top, right, bottom = self.found.box
        height, width = seen
        rows = preprocessing.to_picture(np.tile(np.arange(height)[:, None] + 0.5, (1, width)), size)  # where each pixel
        columns = preprocessing.to_picture(np.tile(np.arange(width) + 0.5, (height, 1)), size)  # is seen
        inside = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
        if not inside.any():
            return None
        down, across = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        box = (int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1)
        return Box(*box, int(inside.sum()), self.found.score)


Question = int | Thing | Contrast | None


def questions(loaded: LoadedModel, wanted: Sequence[Wanted], outputs: Any) -> list[Question]:
    """Return what is asked about one picture; None stands for the top class.

    Args:
        loaded: the network.
        wanted: the classes that were named.
        outputs: the network's for the picture.

    Raises:
        ValueError: if the network does not do its task, or finds nothing of what is wanted.
    """
    check_task(outputs, loaded.task)
    if loaded.task == "detection":
        return list(_things(outputs, wanted, loaded.categories))
    if not wanted:
        return [None]
    if loaded.task == "segmentation":
        shares = areas(outputs)
        found = classes_of(wanted, shares[None])
        named_ = {each for each in wanted if isinstance(each, int)}
        for index in named_:
            if index < len(shares) and not shares[index]:
                raise _absent("network", index, shares.nonzero().flatten().tolist(), loaded.categories)
        return [index for index in found if index in named_ or shares[index] > 0]
    return list(classes_of(wanted, outputs))


def check_task(outputs: Any, task: str) -> None:
    """Refuse a task that the network was not made for.

    Raises:
        ValueError: if its outputs are others.
    """
    try:
        shown(outputs, task, 1)
    except NoScoresError as error:
        raise ValueError(
            f"this network does no {task}: {error.problem}; leave out --task, or choose a network for it with --model"
        ) from error


def target_of(question: Question) -> int | Target | None:
    """Return what a method is asked; a contrast is an option of the call instead."""
    if isinstance(question, Contrast):
        return None
    return question.found.target if isinstance(question, Thing) else question


def areas(outputs: Any) -> Tensor:
    """Return the share of one picture in which each class is predicted, ``(M,)``."""
    scores = dense_scores(one_image(outputs, 0, 1))
    predicted = predicted_classes(scores).flatten()
    return predicted.bincount(minlength=max(2, len(scores))) / len(predicted)


def _things(outputs: Any, wanted: Sequence[Wanted], categories: tuple[str, ...] | None) -> list[Thing]:
    every = detected_objects(one_image(outputs, 0, 1), 0.0)
    if not every:
        raise ValueError("the detector finds no object in the picture, so there is none to explain; is it trained?")
    if not wanted:
        sure = [each for each in every[:MOST] if each.score >= SURE]
        return _numbered(sure or every[:1])  # the surest, even if it is not sure
    found: list[DetectedObject] = []
    for each in wanted:
        if isinstance(each, Top):
            found += every[: each.count]
            continue
        same = [one for one in every if one.category == each]
        if not same:
            raise _absent("detector", each, [one.category for one in every], categories)
        found += [one for one in same if one.score >= SURE][:MOST] or same[:1]
    return _numbered(list(dict.fromkeys(found)))


def _absent(who: str, index: int, present: Sequence[int], categories: tuple[str, ...] | None) -> ValueError:
    """Say that a class is not in the picture, and which are."""
    seen = ", ".join(dict.fromkeys(_class_name(each, categories) for each in present))
    return ValueError(f"the {who} finds no {_class_name(index, categories)} in the picture; it finds {seen}")


def _numbered(found: Sequence[DetectedObject]) -> list[Thing]:
    return [Thing(number, each) for number, each in enumerate(found, 1)]


def _class_name(index: int, categories: tuple[str, ...] | None) -> str:
    return categories[index] if categories and 0 <= index < len(categories) else f"class {index}"


def label(question: Question, categories: tuple[str, ...] | None) -> str:
    """Write a question for people and names of files."""
    if isinstance(question, (Thing, Contrast)):
        return question.name(categories)
    return "" if question is None else named(question, categories)


def shown(outputs: Any, task: str, count: int) -> list[tuple[int, float]] | None:
    """Return what a segmentation network or detector sees: classes with shares of the picture, or objects with scores.

    Returns:
        Index and number in 0..1, the highest first; None if it is no such network.
    """
    if task == "segmentation":
        shares = areas(outputs)
        return [(index, float(shares[index])) for index in shares.topk(min(count, len(shares))).indices.tolist()
                if shares[index] > 0]  # fmt: skip
    if task == "detection":
        return [(each.category, each.score) for each in detected_objects(one_image(outputs, 0, 1), SURE, count)]
    return None
