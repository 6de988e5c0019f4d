"""Pictures that are files: folders with all that lies below them, patterns, single files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.folders import fixed_folder
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.samples import expand, is_pattern
from pytorch_grad_cam.data.sources.ids import check_unique, ids_of_paths, readable


@dataclass(frozen=True, slots=True)
class FileItem:
    """A picture that is a file; see `sources.item.Item`.

    Attributes:
        path: the file, from the root on: another process may work in another folder.
    """

    id: str
    path: str
    origin: str
    label: str | int | None = None
    target: str | int | None = None

    def read(self, max_pixels: int) -> NDArray[np.uint8]:
        """Return the picture, uint8 RGB ``(H, W, 3)``."""
        return read_image(self.path, max_pixels=max_pixels)


class FilesSource:
    """The pictures that folders, patterns and paths stand for, in that order, every file once.

    A picture in a folder below one that was given, or below the part of a pattern that has no wildcard, has that
    folder's name as its label. Its id is its path from there on, or, if several texts were given, from the folder on
    that they have in common; without the ending, but for files that differ in nothing else.

    Args:
        texts: folders, which are taken with all that lies below them; patterns with ``*``, ``?``, ``[...]`` and, for
            any depth, ``**``; files, which need not exist: reading them will say so.

    Raises:
        ValueError: if a folder has no pictures, or a pattern matches no file.
        OSError: if a folder cannot be read.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        tops = [_top(text) for text in texts]
        below = os.path.commonpath(tops)
        found: dict[str, tuple[str, str | None]] = {}  # by the path from the root on: where it lies, and its label
        for text, top in zip(texts, tops, strict=True):
            paths, problem = expand(text, deep=True)
            if problem:
                raise ValueError(problem)
            for path in paths:
                whole = os.path.abspath(path)
                folder = os.path.dirname(whole)
                found.setdefault(whole, (str(path), None if folder == top else readable(os.path.basename(folder))))
        self._ids = ids_of_paths([os.path.relpath(path, below) for path in found])
        self._found = [(path, origin, label) for path, (origin, label) in found.items()]
        self._texts = tuple(texts)
        check_unique(self._ids, lambda index: self._found[index][1], "give one of the files another name")

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"files: {', '.join(self._texts)}"

    def __iter__(self) -> Iterator[FileItem]:
        """Yield the pictures, always in the same order."""
        for id, (path, origin, label) in zip(self._ids, self._found, strict=True):
            yield FileItem(id, path, readable(origin), label)

    def __len__(self) -> int:
        return len(self._found)


def _top(text: str) -> str:
    """Return the folder, from the root on, below which folders give labels."""
    if os.path.isdir(text):
        return os.path.abspath(text)
    return os.path.abspath(fixed_folder(text) if is_pattern(text) else os.path.dirname(text))
