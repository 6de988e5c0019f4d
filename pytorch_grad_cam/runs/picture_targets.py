"""What a network sees in a picture, whatever its task, and what can be explained of it: classes, regions, objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.boxes import Box
from pytorch_grad_cam.engine.trees import one_image
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.targets.class_choices import (
    NO_AND_YES,
    ClassChoice,
    TopClasses,
    class_indices,
    class_label,
    class_name,
    picture_scores,
)
from pytorch_grad_cam.targets.class_names import find_class
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.detection import DetectedObject, as_detections, detected_objects
from pytorch_grad_cam.targets.detector_layouts import LAYOUTS, reader_for
from pytorch_grad_cam.targets.score_kinds import NONE, ScoreKind, score_kind
from pytorch_grad_cam.targets.segmentation import dense_scores, predicted_classes

MOST_PREDICTIONS = 5  # classes that are listed
MOST_LOOKED_AT = 300  # objects of a head that suppresses none of its boxes itself
MOST_OBJECTS = 8  # that are explained without being asked for one by one
MIN_SCORE = 0.5  # of an object that counts without being asked for


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
    """One object that a detector found in a picture."""

    number: int  # from 1, the surest first
    detected: DetectedObject

    def name(self, categories: tuple[str, ...] | None) -> str:
        """Write it for people: its number and class."""
        return f"{self.number} {_class_in_words(self.detected.category, categories)}"

    def box_on_image(self, preprocessing: Preprocessing, seen: tuple[int, int], size: tuple[int, int]) -> Box | None:
        """Return its box in the image's pixels; None if none of it is there.

        ``seen`` and ``size`` are height and width of what the network sees and of the image.
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


def image_targets(
    loaded: LoadedModel,
    kind: ScoreKind | None,
    choices: Sequence[ClassChoice],
    outputs: Any,
    seen: tuple[int, int],
) -> list[ImageTarget]:
    """Return what is explained of one picture, by the network's outputs for it; it sees height and width ``seen``.

    Raises:
        ValueError: if the network does not do its task, or finds nothing of what was named.
    """
    check_task(outputs, loaded)
    if loaded.task == "detection":
        objects = _chosen_objects(outputs, choices, loaded, seen)
        return [DetectedObjectTarget(number, detected) for number, detected in enumerate(objects, 1)]
    if not choices:
        return [None]
    if loaded.task == "segmentation":
        return list(_predicted_regions(outputs, choices, loaded.categories))
    scores = picture_scores(outputs)
    return list(class_indices(choices, scores if kind is None or scores is None else kind.shares(scores)))


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


def shared_label(
    category: int | None, target: ImageTarget, outputs: Any, kind: ScoreKind | None, categories: tuple[str, ...] | None
) -> str:
    """Write a target and, of a class of a classifier, its share; ``category`` is the class that was explained."""
    label = target_label(category if target is None else target, categories)
    share = None if isinstance(target, ClassContrast) else class_share(category, outputs, kind)
    return label if share is None else f"{label} {100 * share:.1f} %"


def class_share(category: int | None, outputs: Any, kind: ScoreKind | None) -> float | None:
    """Return the share of a class in the first picture's outputs; None where there are no shares of classes."""
    scores = picture_scores(outputs) if kind is not None and kind.name != NONE else None
    if kind is None or scores is None or category is None:
        return None
    return float(kind.shares(scores)[category])


def _predicted_regions(outputs: Any, choices: Sequence[ClassChoice], categories: tuple[str, ...] | None) -> list[int]:
    """Return the chosen classes that are predicted somewhere; one that was named must be, if the network has it."""
    shares = _area_shares(outputs)
    indices = class_indices(choices, shares)
    named = {choice for choice in choices if isinstance(choice, int)}
    for index in named:
        if index < len(shares) and not shares[index]:
            raise _absent("network", index, shares.nonzero().flatten().tolist(), categories)
    return [index for index in indices if index in named or shares[index] > 0]


def _chosen_objects(
    outputs: Any, choices: Sequence[ClassChoice], loaded: LoadedModel, seen: tuple[int, int]
) -> list[DetectedObject]:
    """Return the objects of the chosen classes, each once; those that the detector is sure of if none was chosen."""
    objects = _objects(outputs, loaded, 0.0, MOST_LOOKED_AT, seen)
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
            raise _absent("detector", choice, [detected.category for detected in objects], loaded.categories)
        chosen += [detected for detected in same if detected.score >= MIN_SCORE][:MOST_OBJECTS] or same[:1]
    return list(dict.fromkeys(chosen))


def _absent(who: str, index: int, present: Sequence[int], categories: tuple[str, ...] | None) -> ValueError:
    """Say that a class is not in the picture, and which are."""
    seen = ", ".join(dict.fromkeys(_class_in_words(other, categories) for other in present))
    return ValueError(f"the {who} finds no {_class_in_words(index, categories)} in the picture; it finds {seen}")


def _class_in_words(index: int, categories: tuple[str, ...] | None) -> str:
    name = class_name(index, categories)
    return f"class {index}" if name is None else name


def predictions(
    outputs: Any, loaded: LoadedModel, kind: ScoreKind | None, count: int
) -> list[tuple[int, float]] | None:
    """Return what the network sees: classes with their shares or areas, or objects with their scores.

    At most ``count``, index and share in 0..1 (of the kind "none": the number itself), the highest first; None if there
    is nothing of that kind.
    """
    seen = _regions_or_objects(outputs, loaded, count)
    scores = None if seen or kind is None else picture_scores(outputs)
    return seen if scores is None or kind is None else kind.seen(scores, count)


def check_task(outputs: Any, loaded: LoadedModel) -> None:
    """Refuse a task that the network was not made for.

    Raises:
        ValueError: if its outputs are others.
    """
    try:
        _regions_or_objects(outputs, loaded, 1)
    except NoScoresError as error:
        advice = "leave out --task, or choose a network for it with --model"
        if loaded.task == "detection":
            advice += f"; if it is a detector, say how its output is laid out: --read {'|'.join(LAYOUTS)}"
        raise ValueError(f"this network does no {loaded.task}: {error.problem}; {advice}") from error


def read_scores(loaded: LoadedModel, inputs: Tensor, stated: str | None) -> tuple[ScoreKind | None, LoadedModel]:
    """Find out what a classifier's scores are for one picture ``(1, C, h, w)``; None for a network that is none.

    Args:
        stated: what --scores says.

    Returns:
        Their kind, and the network, whose classes are called no and yes where it has one score and no names.

    Raises:
        ValueError: if what is stated cannot be.
    """
    if loaded.task != "classification":
        return None, loaded
    try:
        kind = score_kind(loaded.model, inputs, stated or loaded.scores, loaded.run)
    except NoScoresError:
        return None, loaded
    no_names = loaded.categories is None and kind.count == 1 and kind.name != NONE
    return kind, replace(loaded, categories=NO_AND_YES) if no_names else loaded


def _area_shares(outputs: Any) -> Tensor:
    """Return the share of one picture in which each class is predicted, ``(M,)``."""
    scores = dense_scores(one_image(outputs, 0, 1))
    predicted = predicted_classes(scores).flatten()
    return predicted.bincount(minlength=max(2, len(scores))) / len(predicted)


def _objects(
    outputs: Any, loaded: LoadedModel, least_score: float, at_most: int | None, seen: tuple[int, int] | None = None
) -> list[DetectedObject]:
    """Return what a detector finds in one picture, in the form that is known or was said."""
    read = reader_for(outputs, loaded.read, seen) or as_detections
    return detected_objects(one_image(outputs, 0, 1), least_score, at_most, read)


def _regions_or_objects(outputs: Any, loaded: LoadedModel, count: int) -> list[tuple[int, float]] | None:
    """Return what a segmentation network or detector sees; None if it is no such network."""
    if loaded.task == "segmentation":
        shares = _area_shares(outputs)
        largest = shares.topk(min(count, len(shares))).indices.tolist()
        return [(index, float(shares[index])) for index in largest if shares[index] > 0]
    if loaded.task == "detection":
        objects = _objects(outputs, loaded, MIN_SCORE, count)
        return [(detected.category, detected.score) for detected in objects]
    return None
