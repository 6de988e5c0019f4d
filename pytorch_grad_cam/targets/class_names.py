"""Classes by their names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

_MOST_CANDIDATES = 8  # names in a line


def names_of_classes(categories: Sequence[str] | Mapping[int, str] | None, model: nn.Module) -> tuple[str, ...] | None:
    """Return the names of a network's classes in the order of its outputs: those that are given, or its own.

    Args:
        categories: given ones, in order, or by index.
        model: may say them itself, as networks of transformers (``config.id2label``) and ultralytics (``names``) do.

    Raises:
        ValueError: for given names by index that leave one out.
    """
    if categories is not None:
        return _in_order(categories)
    own: Any = getattr(getattr(model, "config", None), "id2label", None) or getattr(model, "names", None)
    return _in_order(own) if own and isinstance(own, (Mapping, list, tuple)) else None


def _in_order(names: Sequence[str] | Mapping[int, str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError(f"categories={names!r} is one text; give the names of all classes, in the order of the outputs")
    if not isinstance(names, Mapping):
        return tuple(names)
    by_index = {int(index): name for index, name in names.items()}
    if by_index.keys() != set(range(len(by_index))):
        raise ValueError(f"the names of {len(by_index)} classes must have the indices 0 to {len(by_index) - 1}")
    return tuple(by_index[index] for index in range(len(by_index)))


def find_class(text: str, categories: tuple[str, ...] | None) -> int:
    """Turn what was typed, an index from 0 or a name, into an index; quotes, case and ``_`` for a blank do not count.

    Raises:
        ValueError: if there is no such class, or if several have that name; the message lists the candidates.
    """
    text = text.strip().strip("'\"").strip()
    if text.lstrip("+-").isdecimal():
        return _checked_index(int(text), categories)
    if categories is None:
        raise ValueError(
            f"the class {text!r} cannot be found by name: this network has no class names; give an index, "
            "or the names (in Python categories=)"
        )
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
