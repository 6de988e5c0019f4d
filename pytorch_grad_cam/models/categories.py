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
        content: Any = json.loads(text)
        if isinstance(content, dict):
            if content and all(type(index) is int for index in content.values()):
                content = {str(index): name for name, index in content.items()}
            content = [content[str(index)] for index in range(len(content))]
        names = [_class_name(entry) for entry in content]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"{path} is neither a JSON list of class names nor an object with all indices from 0 ({error})"
        ) from error
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path} has class names that are no texts; give a list of names")
    return tuple(names)


def _class_name(entry: Any) -> Any:
    if isinstance(entry, dict):
        return entry["name"]
    return entry[-1] if isinstance(entry, list) else entry
