"""Classes as people type and read them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.models.loaded import LoadedModel

_MOST_CANDIDATES = 8  # names in a line


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


def find_class(text: str, categories: tuple[str, ...] | None) -> int:
    """Turn what was typed, an index from 0 or a name, into an index; quotes, case and ``_`` for a blank do not count.

    Raises:
        ValueError: if there is no such class, or if several have that name; the message lists the candidates.
    """
    text = text.strip().strip("'\"").strip()
    if text.lstrip("+-").isdecimal():
        return _checked_index(int(text), categories)
    if categories is None:
        raise ValueError(f"the class {text!r} cannot be found by name: this network has no class names; give an index")
    exact = [index for index, name in enumerate(categories) if name == text]
    same = exact or [index for index, name in enumerate(categories) if _normalized(name) == _normalized(text)]
    if len(same) == 1:
        return same[0]
    if same:
        raise ValueError(f"{text!r} names several classes: {_candidates(same, categories)}; give the index")
    close = _similar_classes(_normalized(text), categories)
    known = f"give a name or an index from 0 to {len(categories) - 1}"
    hint = f"did you mean {_candidates(close, categories)}? G{known[1:]}" if close else known
    raise ValueError(f"no class is called {text!r}; {hint}")


def _similar_classes(name: str, categories: tuple[str, ...]) -> list[int]:
    """Return the classes whose names contain a normalized name, whole words first; if there are none, similar ones."""
    normalized = [_normalized(category) for category in categories]
    part = [index for index, other in enumerate(normalized) if name in other]
    part.sort(key=lambda index: name not in normalized[index].split())
    by_name = {other: index for index, other in enumerate(normalized)}
    return part or [by_name[other] for other in difflib.get_close_matches(name, by_name, n=3)]


def _checked_index(index: int, categories: tuple[str, ...] | None) -> int:
    if categories is not None and not 0 <= index < len(categories):
        raise ValueError(f"the class index {index} is out of range; this network has 0 to {len(categories) - 1}")
    if index < 0:
        raise ValueError(f"the class index {index} is negative; classes count from 0")
    return index


def _normalized(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())


def _candidates(indices: list[int], categories: tuple[str, ...]) -> str:
    more = ", ..." if len(indices) > _MOST_CANDIDATES else ""
    return ", ".join(f"{categories[index]!r} ({index})" for index in indices[:_MOST_CANDIDATES]) + more


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
