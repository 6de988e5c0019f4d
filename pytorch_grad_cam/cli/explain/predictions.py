"""What a network sees in a picture, whatever its task: classes, regions or objects, and how sure it is."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pytorch_grad_cam.cli.classes import class_shares
from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.engine.trees import one_image
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.targets.detection import detected_objects
from pytorch_grad_cam.targets.segmentation import dense_scores, predicted_classes

MOST_PREDICTIONS = 5  # classes that are listed
MIN_SCORE = 0.5  # of an object that counts without being asked for


def predictions(outputs: Any, loaded: LoadedModel, count: int) -> list[tuple[int, float]] | None:
    """Return what the network sees: classes with their probabilities or areas, or objects with their scores.

    Args:
        outputs: of one picture.
        loaded: the network.
        count: how many at most.

    Returns:
        Index and share in 0..1, the highest first; None if there is nothing of that kind.
    """
    return _regions_or_objects(outputs, loaded.task, count) or class_shares(outputs, loaded, count)


def check_task(outputs: Any, task: str) -> None:
    """Refuse a task that the network was not made for.

    Raises:
        ValueError: if its outputs are others.
    """
    try:
        _regions_or_objects(outputs, task, 1)
    except NoScoresError as error:
        raise ValueError(
            f"this network does no {task}: {error.problem}; leave out --task, or choose a network for it with --model"
        ) from error


def area_shares(outputs: Any) -> Tensor:
    """Return the share of one picture in which each class is predicted, ``(M,)``."""
    scores = dense_scores(one_image(outputs, 0, 1))
    predicted = predicted_classes(scores).flatten()
    return predicted.bincount(minlength=max(2, len(scores))) / len(predicted)


def _regions_or_objects(outputs: Any, task: str, count: int) -> list[tuple[int, float]] | None:
    """Return what a segmentation network or detector sees; None if it is no such network."""
    if task == "segmentation":
        shares = area_shares(outputs)
        largest = shares.topk(min(count, len(shares))).indices.tolist()
        return [(index, float(shares[index])) for index in largest if shares[index] > 0]
    if task == "detection":
        objects = detected_objects(one_image(outputs, 0, 1), MIN_SCORE, count)
        return [(detected.category, detected.score) for detected in objects]
    return None
