"""Classes as people type and read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.targets.class_names import find_class
from pytorch_grad_cam.targets.spec import class_scores

NO_AND_YES = ("no", "yes")  # the classes of a network with one score, where they have no names


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


def class_indices(choices: Sequence[ClassChoice], scores: Tensor | None) -> list[int]:
    """Return the indices of the chosen classes for one picture, each once; its scores ``(M,)`` decide on the top.

    Raises:
        ValueError: if the top classes are chosen where there are no scores.
    """
    indices: list[int] = []
    for choice in choices:
        if isinstance(choice, int):
            indices.append(choice)
            continue
        if scores is None:
            raise ValueError(
                f"top-{choice.count} needs a network that returns one number per class; give class indices"
            )
        indices += scores.float().topk(min(choice.count, len(scores))).indices.tolist()
    return list(dict.fromkeys(indices))


def check_categories(outputs: Any, categories: tuple[str, ...] | None) -> None:
    """Refuse class names that belong to another network.

    Raises:
        ValueError: if their number is not that of the outputs.
    """
    scores = picture_scores(outputs)
    if categories is None or scores is None or max(2, len(scores)) == len(categories):
        return
    count = f"{len(scores)} outputs" if len(scores) > 1 else "one output, which is for two classes, no and yes"
    raise ValueError(f"there are {len(categories)} class names, but the network has {count}")


def picture_scores(outputs: Any) -> Tensor | None:
    """Return the scores ``(M,)`` of one picture, by what a classifier returned for it; None of any other network."""
    try:
        return class_scores(outputs, "classes are listed")[0][0]
    except NoScoresError:
        return None


def class_name(index: int, categories: tuple[str, ...] | None) -> str | None:
    """Return the name of a class, if it has one."""
    return categories[index] if categories and 0 <= index < len(categories) else None


def class_label(index: int, categories: tuple[str, ...] | None) -> str:
    """Write a class for people: its index and, if it has one, its name."""
    name = class_name(index, categories)
    return f"{index}" if name is None else f"{index} {name}"
