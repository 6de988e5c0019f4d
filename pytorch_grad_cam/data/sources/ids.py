"""Ids of pictures: short, the same from run to run, and no two alike."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence


def check_unique(ids: Iterable[str], origin: Callable[[int], str], advice: str) -> None:
    """Find out whether every picture has an id of its own.

    Args:
        ids: in the order of the pictures.
        origin: from a picture's number, from 0, to where it lies, for people.
        advice: what to do if two ids are the same.

    Raises:
        ValueError: for the first id that two pictures have; the message names both.
    """
    first: dict[str, int] = {}
    for index, id in enumerate(ids):
        before = first.setdefault(id, index)
        if before != index:
            raise ValueError(f"two pictures have the id {id!r}: {origin(before)}, and {origin(index)}; {advice}")


def ids_of_paths(names: Sequence[str]) -> list[str]:
    """Return an id for each relative path: without its ending, or with it where another one would have the same.

    Ids that differ in upper and lower case only count as the same: some file systems do not tell such files apart.
    """
    ids = [readable(os.path.splitext(name)[0].replace(os.sep, "/")) for name in names]
    whole = [readable(name.replace(os.sep, "/")) for name in names]
    while True:
        count = Counter(id.lower() for id in ids)
        clashing = [index for index, id in enumerate(ids) if count[id.lower()] > 1 and id != whole[index]]
        if not clashing:
            return ids
        for index in clashing:
            ids[index] = whole[index]


def id_of_row(index: int) -> str:
    """Return the id of what has only a number, from 0: it sorts as the number does."""
    return f"{index:08d}"


def readable(text: str) -> str:
    r"""Return a text that can be written in UTF-8: what a name has of other bytes is spelled as ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
