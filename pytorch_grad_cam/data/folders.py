"""Find files below folders: each folder once, however links lead to it, and nothing that is hidden."""

from __future__ import annotations

import glob
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pytorch_grad_cam.data.reading import reason_of

_MOST_NAMES = 100_000  # that one text in braces may stand for
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def files_below(folder: str | Path) -> list[str]:
    """Return the files in a folder and in the folders below it, relative to it, sorted by folder and name.

    A folder that several ways lead to is looked at once, by the way without links if there is one; so links in a
    circle end. What begins with a dot, file or folder, is left out.

    Raises:
        OSError: if a folder cannot be read.
    """
    top = os.fspath(folder)
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    real, linked = deque([""]), deque[str]()
    while real or linked:
        inner = real.popleft() if real else linked.popleft()
        status = os.stat(os.path.join(top, inner))
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in _entries(os.path.join(top, inner)):
            name = os.path.join(inner, entry.name)
            if entry.is_dir():
                (linked if entry.is_symlink() else real).append(name)
            elif entry.is_file():
                found.append(name)
    return _sorted(found)


def _sorted(paths: Iterable[str]) -> list[str]:
    return sorted(paths, key=lambda path: path.split(os.sep))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    except OSError as error:
        raise type(error)(f"cannot read the folder {folder}: {reason_of(error)}") from error


def matching_files(pattern: str) -> list[str]:
    """Return the files that match a pattern with ``*``, ``?``, ``[...]`` and, for any depth, ``**``; sorted."""
    head = fixed_folder(pattern)
    parts = Path(pattern).parts[len(Path(head).parts) :]
    if "**" not in parts:
        return _sorted(path for path in glob.glob(pattern) if os.path.isfile(path))
    if not os.path.isdir(head or os.curdir):
        return []
    inside = files_below(head or os.curdir)  # glob would follow links in a circle
    return [os.path.join(head, name) for name in inside if _matches(Path(name).parts, parts)]


def fixed_folder(pattern: str) -> str:
    """Return the folder that a pattern begins with, all before its first wildcard; "" for the working one."""
    path = Path(pattern)
    fixed = 0
    while fixed < len(path.parts) - 1 and not glob.has_magic(path.parts[fixed]):
        fixed += 1
    return os.path.join(*path.parts[:fixed]) if fixed else ""


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Say whether the parts of a path match those of a pattern, of which ``**`` stands for any number of folders."""
    reached = {0}  # how many parts of the pattern may have been used up
    pattern = [os.path.normcase(part) for part in pattern]
    for name in map(os.path.normcase, names):
        reached = _skipped(reached, pattern)
        stay = {at for at in reached if at < len(pattern) and pattern[at] == "**"}
        reached = stay | {
            at + 1 for at in reached if at < len(pattern) and at not in stay and fnmatchcase(name, pattern[at])
        }
    return len(pattern) in _skipped(reached, pattern)


def _skipped(reached: set[int], pattern: Sequence[str]) -> set[int]:
    """Add the places behind every ``**``, which may stand for no folder."""
    return reached | {
        end
        for at in reached
        for end in range(at + 1, len(pattern) + 1)
        if all(part == "**" for part in pattern[at:end])
    }


def braces_expanded(text: str) -> list[str]:
    """Return the names that ``{000..003}`` and ``{train,val}`` in a text stand for, in their order.

    A number keeps the zeros in front of it. Braces with anything else in them stay as they are.

    Raises:
        ValueError: for more than 100,000 names.
    """
    texts = [text]
    for found in _BRACES.findall(text):
        choices = list(_choices(found, text))
        if len(choices) * len(texts) > _MOST_NAMES:
            raise ValueError(_too_many(text))
        if choices:
            texts = [each.replace(f"{{{found}}}", choice, 1) for each in texts for choice in choices]
    return texts


def _choices(inside: str, text: str) -> Iterator[str]:
    span = _RANGE.fullmatch(inside)
    if span is None:
        yield from inside.split(",") if "," in inside else ()
        return
    first, last = int(span[1]), int(span[2])
    if abs(last - first) >= _MOST_NAMES:
        raise ValueError(_too_many(text))
    for number in range(first, last + 1) if first <= last else range(first, last - 1, -1):
        yield f"{number:0{len(span[1])}d}"


def _too_many(text: str) -> str:
    return f"{text} stands for more than {_MOST_NAMES:,} names; write a pattern with *, or fewer"
