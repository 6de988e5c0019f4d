"""Classes as people type and read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.targets.class_names import find_class


@dataclass(frozen=True)
class TopClasses:
    """The classes that are predicted first, different for each picture."""

    count: int


ClassChoice = int | TopClasses


def parse_classes(texts: Sequence[str], categories: tuple[str, ...] | None) -> list[ClassChoice]:
    """Turn what was typed after --target into classes: an index, a name, or ``top-3``.

    Raises:
        ValueError: if there is no such class; see `find_class`.
    """
    choices: list[ClassChoice] = []
    for text in texts:
        top = re.fullmatch(r"top[-_ ]?(\d+)", text.strip().lower())
        if top and int(top[1]) < 1:
            raise ValueError(f"{text!r} names no class; give top-1 or more")
        choices.append(TopClasses(int(top[1])) if top else find_class(text, categories))
    return choices


def may_be_several(choices: Sequence[ClassChoice]) -> bool:
    """Say whether more than one class may be explained per picture."""
    return sum(choice.count if isinstance(choice, TopClasses) else 1 for choice in choices) > 1


def class_indices(choices: Sequence[ClassChoice], outputs: Any) -> list[int]:
    """Return the indices of the chosen classes for one picture, each once; ``outputs`` ``(1, M)`` decide on the top.

    Raises:
        ValueError: if the top classes are chosen of something else than a classification.
    """
    indices: list[int] = []
    for choice in choices:
        if isinstance(choice, int):
            indices.append(choice)
            continue
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            raise ValueError(
                f"top-{choice.count} needs a network that returns one number per class; give class indices"
            )
        indices += outputs[0].float().topk(min(choice.count, outputs.shape[1])).indices.tolist()
    return list(dict.fromkeys(indices))


def check_categories(outputs: Any, categories: tuple[str, ...] | None) -> None:
    """Refuse class names that belong to another network.

    Raises:
        ValueError: if their number is not that of the outputs.
    """
    if categories is not None and isinstance(outputs, Tensor) and outputs.ndim == 2:
        count = outputs.shape[1]
        if count != len(categories):
            raise ValueError(f"there are {len(categories)} class names, but the network has {count} outputs")


def class_shares(outputs: Any, loaded: LoadedModel, count: int) -> list[tuple[int, float]] | None:
    """Return the classes that the network sees in one picture, and their shares in 0..1, the highest first.

    Where one class wins these are the ``count`` first, where each is a yes or no of its own those above 0.5; None if
    the network is no classifier.
    """
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        return None
    scores = outputs[0].float().cpu()
    if loaded.multi_label or len(scores) == 1:
        shares = scores if loaded.probabilities else scores.sigmoid()
        indices = [index for index in shares.argsort(descending=True).tolist() if shares[index] > 0.5]
    else:
        shares = scores if loaded.probabilities or _sum_to_one(scores) else torch.softmax(scores, 0)
        indices = shares.topk(min(count, len(shares))).indices.tolist()
    return [(index, float(shares[index])) for index in indices]


def class_name(index: int, categories: tuple[str, ...] | None) -> str | None:
    """Return the name of a class, if it has one."""
    return categories[index] if categories and 0 <= index < len(categories) else None


def class_label(index: int, categories: tuple[str, ...] | None) -> str:
    """Write a class for people: its index and, if it has one, its name."""
    name = class_name(index, categories)
    return f"{index}" if name is None else f"{index} {name}"


def _sum_to_one(scores: Tensor) -> bool:
    """Whether the network ends in a softmax of its own, which must not be applied twice."""
    return bool((scores >= 0).all()) and abs(float(scores.sum()) - 1) < 1e-3
