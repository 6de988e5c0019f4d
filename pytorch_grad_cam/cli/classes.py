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

_SHOWN = 8  # names in a line


@dataclass(frozen=True)
class Top:
    """The classes that are predicted first, different for each picture."""

    count: int


Wanted = int | Top


def wanted_classes(texts: Sequence[str], categories: tuple[str, ...] | None) -> list[Wanted]:
    """Turn what was typed after --target into classes: an index, a name, or ``top-3``.

    Raises:
        ValueError: if there is no such class; see `find_class`.
    """
    found: list[Wanted] = []
    for text in texts:
        top = re.fullmatch(r"top[-_ ]?(\d+)", text.strip().lower())
        if top and int(top[1]) < 1:
            raise ValueError(f"{text!r} names no class; give top-1 or more")
        found.append(Top(int(top[1])) if top else find_class(text, categories))
    return found


def are_several(wanted: Sequence[Wanted]) -> bool:
    """Say whether more than one class may be explained per picture."""
    return sum(each.count if isinstance(each, Top) else 1 for each in wanted) > 1


def classes_of(wanted: Sequence[Wanted], outputs: Any) -> list[int]:
    """Return the indices that are wanted for one picture, each once.

    Args:
        outputs: the network's for that picture, ``(1, classes)``; needed for the top classes only.

    Raises:
        ValueError: if the top classes are wanted of something else than a classification.
    """
    found: list[int] = []
    for each in wanted:
        if isinstance(each, int):
            found.append(each)
            continue
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            raise ValueError(f"top-{each.count} needs a network that returns one number per class; give class indices")
        found += outputs[0].float().topk(min(each.count, outputs.shape[1])).indices.tolist()
    return list(dict.fromkeys(found))


def check_names(outputs: Any, categories: tuple[str, ...] | None) -> None:
    """Refuse class names that belong to another network.

    Raises:
        ValueError: if their number is not that of the outputs.
    """
    if categories is not None and isinstance(outputs, Tensor) and outputs.ndim == 2:
        count = outputs.shape[1]
        if count != len(categories):
            raise ValueError(f"there are {len(categories)} class names, but the network has {count} outputs")


def find_class(wanted: str, categories: tuple[str, ...] | None) -> int:
    """Turn what was typed, an index or a class name, into an index.

    Args:
        wanted: an index from 0, or a name; quotes around it, case and ``_`` for a blank do not count.
        categories: the names of all classes, or None if there are none.

    Raises:
        ValueError: if there is no such class, or if several have that name; the message lists the candidates.
    """
    wanted = wanted.strip().strip("'\"").strip()
    if wanted.lstrip("+-").isdecimal():
        return _checked_index(int(wanted), categories)
    if categories is None:
        raise ValueError(
            f"the class {wanted!r} cannot be found by name: this network has no class names; give an index"
        )
    exact = [index for index, name in enumerate(categories) if name == wanted]
    same = exact or [index for index, name in enumerate(categories) if _plain(name) == _plain(wanted)]
    if len(same) == 1:
        return same[0]
    if same:
        raise ValueError(f"{wanted!r} names several classes: {_listed(same, categories)}; give the index")
    part = [index for index, name in enumerate(categories) if _plain(wanted) in _plain(name)]
    part.sort(key=lambda index: _plain(wanted) not in _plain(categories[index]).split())  # whole words first
    by_name = {_plain(name): index for index, name in enumerate(categories)}
    close = part or [by_name[name] for name in difflib.get_close_matches(_plain(wanted), by_name, n=3)]
    known = f"give a name or an index from 0 to {len(categories) - 1}"
    hint = f"did you mean {_listed(close, categories)}? G{known[1:]}" if close else known
    raise ValueError(f"no class is called {wanted!r}; {hint}")


def _checked_index(index: int, categories: tuple[str, ...] | None) -> int:
    if categories is not None and not 0 <= index < len(categories):
        raise ValueError(f"the class index {index} is out of range; this network has 0 to {len(categories) - 1}")
    if index < 0:
        raise ValueError(f"the class index {index} is negative; classes count from 0")
    return index


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())


def _listed(indices: list[int], categories: tuple[str, ...]) -> str:
    more = ", ..." if len(indices) > _SHOWN else ""
    return ", ".join(f"{categories[index]!r} ({index})" for index in indices[:_SHOWN]) + more


def predicted(outputs: Any, loaded: LoadedModel, count: int) -> list[tuple[int, float]] | None:
    """Return the classes that the network sees, and their shares in 0..1.

    Args:
        outputs: of one picture.
        loaded: says whether one class wins (then the ``count`` first are returned) or each is a yes or no of its own
            (then those above 0.5).
        count: how many at most, where one class wins.

    Returns:
        Index and share, the highest first; None if the network is no classifier.
    """
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        return None
    scores = outputs[0].float().cpu()
    if loaded.multi_label or len(scores) == 1:
        shares = scores if loaded.probabilities else scores.sigmoid()
        indices = [index for index in shares.argsort(descending=True).tolist() if shares[index] > 0.5]
    else:
        shares = scores if loaded.probabilities or _are_shares(scores) else torch.softmax(scores, 0)
        indices = shares.topk(min(count, len(shares))).indices.tolist()
    return [(index, float(shares[index])) for index in indices]


def named(index: int, categories: tuple[str, ...] | None) -> str:
    """Write a class for people: its index and, if it has one, its name."""
    return f"{index} {categories[index]}" if categories and 0 <= index < len(categories) else f"{index}"


def _are_shares(scores: Tensor) -> bool:
    """Whether the network ends in a softmax of its own, which must not be applied twice."""
    return bool((scores >= 0).all()) and abs(float(scores.sum()) - 1) < 1e-3
