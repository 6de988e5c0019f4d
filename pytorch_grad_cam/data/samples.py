"""Find pictures by path, folder or glob, and give every one an id of its own."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytorch_grad_cam.data.folders import files_below, matching_files

# What is taken from folders and globs; a file that is named itself may have any ending.
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif"}


@dataclass(frozen=True)
class Sample:
    """One picture of a run.

    Attributes:
        id: tells it from the other pictures of the run: its file's name without the ending or, where several files
            share that, also its folders (and the ending).
        path: the file.
    """

    id: str
    path: Path


def find_samples(sources: Sequence[str]) -> tuple[list[Sample], list[str]]:
    """List the pictures that paths, folders and globs stand for, in that order, every file once.

    Args:
        sources: each a file, which need not exist (reading it will say so); a folder, whose pictures are taken, not
            those of its subfolders; or a pattern with ``*``, ``?``, ``[...]`` and, for any depth, ``**``.

    Returns:
        The pictures, and a sentence for each folder or pattern that stands for none.
    """
    paths: dict[str, Path] = {}  # by the absolute path, which tells files apart
    problems = []
    for source in sources:
        matches, problem = expand(source)
        paths.update({os.path.abspath(path): path for path in matches if os.path.abspath(path) not in paths})
        if problem:
            problems.append(problem)
    ids = _ids([Path(path) for path in paths])
    return [Sample(id, path) for id, path in zip(ids, paths.values(), strict=True)], problems


def names_many(sources: Sequence[str]) -> bool:
    """Say whether more than one picture was asked for: several sources, a folder or a glob, whatever they hold."""
    return len(sources) != 1 or Path(sources[0]).is_dir() or is_pattern(sources[0])


def expand(source: str, deep: bool = False) -> tuple[list[Path], str]:
    """Return the files that a path, folder or pattern stands for, and a sentence if there are none.

    Args:
        source: see `find_samples`.
        deep: of a folder take the pictures of its subfolders too.

    Raises:
        OSError: if a folder cannot be read.
    """
    if "://" in source:
        return [], f"{source} is an address; download the picture and give its file"
    path = Path(source)
    if os.path.isdir(path):
        inside = sorted(_below(path) if deep else filter(is_picture, path.iterdir()))
        deeper = not inside and not deep and any(is_picture(file) for file in path.glob("*/*"))
        hint = f"; its subfolders have some: '{path}/**/*' takes them too" if deeper else ""
        return inside, "" if inside else f"the folder {source} has no pictures ({', '.join(sorted(ENDINGS))}){hint}"
    if not is_pattern(source):
        return [path], ""
    matching = [Path(file) for file in matching_files(source)]
    pictures = [file for file in matching if is_picture(file)]
    return pictures or matching, "" if matching else f"no file matches {source}; check the pattern"


def _below(folder: Path) -> list[Path]:
    return [folder / name for name in files_below(folder) if has_picture_name(name)]


def is_pattern(source: str) -> bool:
    """Say whether a text is a pattern, and not the name of something that is there."""
    return glob.has_magic(source) and not os.path.exists(source)


def has_picture_name(path: str | Path) -> bool:
    """Say whether a file is named as pictures are."""
    return os.path.splitext(path)[1].lower() in ENDINGS


def is_picture(path: Path) -> bool:
    """Say whether there is a file that is named as pictures are, and is not hidden."""
    return has_picture_name(path) and not path.name.startswith(".") and path.is_file()


def _ids(paths: list[Path]) -> list[str]:
    """Return an id for every absolute path, as short as they can be told apart, all formed alike."""
    if not paths:
        return []
    top = Path(os.path.commonpath([path.parent for path in paths]))
    namings: tuple[Callable[[Path], str], ...] = (
        lambda path: path.stem,
        lambda path: path.relative_to(top).with_suffix("").as_posix(),
        lambda path: path.relative_to(top).as_posix(),
    )
    for name in namings:
        ids = [name(path) for path in paths]
        if len({id.lower() for id in ids}) == len(ids):  # some file systems do not tell cases apart
            return ids
    return [f"{index}_{path.stem}" for index, path in enumerate(paths)]
