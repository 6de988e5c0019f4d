"""Read the names of classes from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_categories(path: str | Path) -> tuple[str, ...]:
    """Read class names in the order of a network's outputs.

    Args:
        path: a text file with one name per line, or JSON: a list of names, an object from index to name, or one from
            name to index, as ``class_to_idx`` of torchvision's folders. Where a name is a list, as in ImageNet's
            ``{"0": ["n01440764", "tench"]}``, its last item counts; of an object with a ``name``, that.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is neither of these, or an index is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of class names {path}; check the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8; give class names, one per line or as JSON") from error
    if path.suffix.lower() != ".json":
        return tuple(line.strip() for line in text.rstrip().splitlines())
    try:
        content: Any = json.loads(text, object_pairs_hook=_without_repetition)
        if isinstance(content, dict):
            content = _in_order(content)
        if not isinstance(content, list):
            raise TypeError(f"it is a {type(content).__name__}")
        names = [_class_name(entry) for entry in content]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(
            f"{path} is neither a JSON list of class names nor an object with all indices from 0 ({error!s:.200})"
        ) from error
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path} has class names that are no texts; give a list of names")
    return tuple(names)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its names and values; JSON's reader would keep the last of those that share a name."""
    result = dict(pairs)
    if len(result) < len(pairs):
        repeated = next(name for place, (name, _) in enumerate(pairs) if name in dict(pairs[:place]))
        raise ValueError(f"{repeated!r:.60} stands in it twice")
    return result


def _in_order(content: dict[str, Any]) -> list[Any]:
    """Return the names of an object from index to name, or from name to index."""
    if content and all(type(index) is int for index in content.values()):
        names = {str(index): name for name, index in content.items()}
        if len(names) < len(content):
            twice = next(name for name, index in content.items() if names[str(index)] != name)
            raise ValueError(f"{twice!r:.60} and {names[str(content[twice])]!r:.60} have the same index")
        content = names
    return [content[str(index)] for index in range(len(content))]


def _class_name(entry: Any) -> Any:
    if isinstance(entry, dict):
        return entry["name"]
    return entry[-1] if isinstance(entry, list) else entry
