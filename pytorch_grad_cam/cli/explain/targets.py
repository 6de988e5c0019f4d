"""What can be explained of a picture, whatever the network does: classes, contrasts, predicted regions, objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytorch_grad_cam.cli.classes import ClassChoice, TopClasses, class_indices, class_label, find_class
from pytorch_grad_cam.cli.explain.predictions import MIN_SCORE, area_shares, check_task
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.boxes import Box
from pytorch_grad_cam.engine.trees import one_image
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.detection import DetectedObject, detected_objects

MOST_OBJECTS = 8  # that are explained without being asked for one by one


@dataclass(frozen=True)
class ClassContrast:
    """What makes it the first class rather than the second: indices of two classes."""

    first: int
    second: int

    def name(self, categories: tuple[str, ...] | None) -> str:
        """Write it for people."""
        return f"{class_label(self.first, categories)} rather than {class_label(self.second, categories)}"


@dataclass(frozen=True)
class DetectedObjectTarget:
    """One object that a detector found in a picture.

    Attributes:
        number: from 1, the surest first.
        detected: where it is and what it is.
    """

    number: int
    detected: DetectedObject

    def name(self, categories: tuple[str, ...] | None) -> str:
        """Write it for people: its number and class."""
        return f"{self.number} {_class_name(self.detected.category, categories)}"

    def box_on_image(self, preprocessing: Preprocessing, seen: tuple[int, int], size: tuple[int, int]) -> Box | None:
        """Return its box in the image's pixels; None if none of it is there.

        Args:
            preprocessing: from the image to what the network sees.
            seen: height and width of the latter.
            size: height and width of the image.
        """
        left, top, right, bottom = self.detected.box
        height, width = seen
        rows = preprocessing.to_picture(np.tile(np.arange(height)[:, None] + 0.5, (1, width)), size)  # where each pixel
        columns = preprocessing.to_picture(np.tile(np.arange(width) + 0.5, (height, 1)), size)  # is seen
        inside = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
        if not inside.any():
            return None
        down, across = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        box = (int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1)
        return Box(*box, int(inside.sum()), self.detected.score)


ImageTarget = int | DetectedObjectTarget | ClassContrast | None  # None: the top class


def parse_contrast(texts: Sequence[str] | None, categories: tuple[str, ...] | None, task: str) -> ClassContrast | None:
    """Turn what was typed after --contrast, if anything, into two classes.

    Raises:
        ValueError: if there is no such class (see `find_class`), if both are the same, or if the network does not
            classify.
    """
    if texts is None:
        return None
    if task != "classification":
        raise ValueError(f"--contrast compares two classes of a picture; it does not go with {task}; take --target")
    first, second = (find_class(text, categories) for text in texts)
    if first == second:
        raise ValueError(f"--contrast names {class_label(first, categories)} twice; give two different classes")
    return ClassContrast(first, second)


def image_targets(loaded: LoadedModel, choices: Sequence[ClassChoice], outputs: Any) -> list[ImageTarget]:
    """Return what is explained of one picture.

    Args:
        loaded: the network.
        choices: the classes that were named.
        outputs: the network's for the picture.

    Raises:
        ValueError: if the network does not do its task, or finds nothing of what was named.
    """
    check_task(outputs, loaded.task)
    if loaded.task == "detection":
        objects = _chosen_objects(outputs, choices, loaded.categories)
        return [DetectedObjectTarget(number, detected) for number, detected in enumerate(objects, 1)]
    if not choices:
        return [None]
    if loaded.task == "segmentation":
        return list(_predicted_regions(outputs, choices, loaded.categories))
    return list(class_indices(choices, outputs))


def method_target(target: ImageTarget) -> int | Target | None:
    """Return what a method takes as its target; a contrast is an option of the call instead."""
    if isinstance(target, ClassContrast):
        return None
    return target.detected.target if isinstance(target, DetectedObjectTarget) else target


def target_label(target: ImageTarget, categories: tuple[str, ...] | None) -> str:
    """Write a target for people and names of files."""
    if isinstance(target, (DetectedObjectTarget, ClassContrast)):
        return target.name(categories)
    return "" if target is None else class_label(target, categories)


def _predicted_regions(outputs: Any, choices: Sequence[ClassChoice], categories: tuple[str, ...] | None) -> list[int]:
    """Return the chosen classes that are predicted somewhere; one that was named must be, if the network has it."""
    shares = area_shares(outputs)
    indices = class_indices(choices, shares[None])
    named = {choice for choice in choices if isinstance(choice, int)}
    for index in named:
        if index < len(shares) and not shares[index]:
            raise _absent("network", index, shares.nonzero().flatten().tolist(), categories)
    return [index for index in indices if index in named or shares[index] > 0]


def _chosen_objects(
    outputs: Any, choices: Sequence[ClassChoice], categories: tuple[str, ...] | None
) -> list[DetectedObject]:
    """Return the objects of the chosen classes, each once; those that the detector is sure of if none was chosen."""
    objects = detected_objects(one_image(outputs, 0, 1), 0.0)
    if not objects:
        raise ValueError("the detector finds no object in the picture, so there is none to explain; is it trained?")
    if not choices:
        return [detected for detected in objects[:MOST_OBJECTS] if detected.score >= MIN_SCORE] or objects[:1]
    chosen: list[DetectedObject] = []
    for choice in choices:
        if isinstance(choice, TopClasses):
            chosen += objects[: choice.count]
            continue
        same = [detected for detected in objects if detected.category == choice]
        if not same:
            raise _absent("detector", choice, [detected.category for detected in objects], categories)
        chosen += [detected for detected in same if detected.score >= MIN_SCORE][:MOST_OBJECTS] or same[:1]
    return list(dict.fromkeys(chosen))


def _absent(who: str, index: int, present: Sequence[int], categories: tuple[str, ...] | None) -> ValueError:
    """Say that a class is not in the picture, and which are."""
    seen = ", ".join(dict.fromkeys(_class_name(other, categories) for other in present))
    return ValueError(f"the {who} finds no {_class_name(index, categories)} in the picture; it finds {seen}")


def _class_name(index: int, categories: tuple[str, ...] | None) -> str:
    return categories[index] if categories and 0 <= index < len(categories) else f"class {index}"
