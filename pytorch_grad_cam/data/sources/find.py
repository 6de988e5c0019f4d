"""Find the source of pictures that texts name: a folder, a table, tar shards, a data set."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from pytorch_grad_cam.data.folders import braces_expanded, matching_files
from pytorch_grad_cam.data.samples import has_picture_name, is_pattern
from pytorch_grad_cam.data.sources import manifest, shards
from pytorch_grad_cam.data.sources.dataset import DatasetSource
from pytorch_grad_cam.data.sources.files import FilesSource
from pytorch_grad_cam.data.sources.huggingface import HuggingFaceSource, is_data_set
from pytorch_grad_cam.data.sources.ids import check_unique
from pytorch_grad_cam.data.sources.item import Item, Source

KINDS = """\
  a folder, with all below it       photos/
  a pattern, or files               'photos/**/*.jpg'    cat.jpg dog.jpg
  a table of paths                  photos.csv    photos.tsv    photos.jsonl    photos.parquet
  tar shards, as webdataset's       'shards/train-{000..003}.tar'    'shards/*.tar'
  a Hugging Face data set on disk   my_data_set    my_data_set:train
  a data set of PyTorch             my_package.my_module:make_dataset"""
_FACTORY = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")
_FILES, _TABLES, _SHARDS, _HUGGING_FACE, _DATASET = "files", "tables", "shards", "hugging face", "data set"


def find_source(texts: Sequence[str]) -> Source:
    """Return the pictures that texts stand for, in that order.

    Args:
        texts: folders, patterns, files; tables (CSV, TSV, JSON lines, parquet); tar archives, also as
            ``{000..003}.tar``; Hugging Face data sets on disk, ``FOLDER`` or ``FOLDER:split``; data sets of PyTorch as
            ``package.module:factory``. What each is, is told by its form and by what is there.

    Raises:
        ValueError: for a text that names none of these, which the message lists; for an id that two pictures have;
            and, as the sources do, for whatever is damaged or empty.
        OSError: if something is not there, or cannot be read.
        ImportError: if a package is missing, or a module cannot be imported.
    """
    if not texts:
        raise ValueError(f"there is no source of pictures; give one of\n{KINDS}")
    expanded = [part for text in texts for part in ([text] if os.path.exists(text) else braces_expanded(text))]
    kinds = groupby(((_kind(text), text) for text in expanded), lambda each: each[0])
    sources = [source for kind, some in kinds for source in _MAKERS[kind]([text for _, text in some])]
    return sources[0] if len(sources) == 1 else _Joined(sources)


class _Joined:
    """Several sources, one behind the other."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)
        ids = (item.id for item in self)
        check_unique(ids, self._origin, "give these sources one at a time, or a table with the column id")

    @property
    def description(self) -> str:
        """What it is, for people."""
        return "; ".join(source.description for source in self._sources)

    def __iter__(self) -> Iterator[Item]:
        """Yield the pictures, always in the same order."""
        for source in self._sources:
            yield from source

    def __len__(self) -> int:
        return sum(len(source) for source in self._sources)

    def _origin(self, index: int) -> str:
        return next(item.origin for number, item in enumerate(self) if number == index)


def _kind(text: str) -> str:
    """Tell what a text names.

    Raises:
        ValueError: if it is nothing that is known.
    """
    if os.path.isdir(text):
        return _HUGGING_FACE if is_data_set(text) else _FILES
    lower = text.lower()
    if lower.endswith((".tar", *shards.COMPRESSED)):
        return _SHARDS
    if lower.endswith(manifest.ENDINGS):
        return _TABLES
    if is_data_set(text.rpartition(":")[0]):
        return _HUGGING_FACE
    if is_pattern(text) or os.path.exists(text) or has_picture_name(text) or "://" in text:
        return _FILES
    if _FACTORY.fullmatch(text) or re.search(r"\.py:\w", text):
        return _DATASET
    if text.endswith(("/", os.sep)):
        raise FileNotFoundError(f"there is no folder {text}; check the path")
    raise ValueError(f"{text!r} is no source of pictures; give one of\n{KINDS}")


def _files(texts: Sequence[str]) -> Iterator[Source]:
    """Yield one source: ids of files are paths from the folder on that all have in common."""
    for text in texts:
        if os.path.isdir(text):
            _check_not_of_other_kinds(text)
    yield FilesSource(texts)


def _check_not_of_other_kinds(folder: str) -> None:
    """Say of a folder that has archives or tables at its top and no pictures how to name these."""
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    for ending in (".tar", ".parquet"):
        if any(name.lower().endswith(ending) for name in names) and not any(
            has_picture_name(name) or os.path.isdir(os.path.join(folder, name)) for name in names
        ):
            raise ValueError(f"the folder {folder} has no pictures; for its {ending} files give '{folder}/*{ending}'")


def _tables(texts: Sequence[str]) -> Iterator[Source]:
    for text in texts:
        paths = matching_files(text) if is_pattern(text) else [text]
        if not paths:
            raise ValueError(f"no file matches {text}; check the pattern")
        yield from map(manifest.ManifestSource, paths)


def _shards(texts: Sequence[str]) -> Iterator[Source]:
    yield shards.ShardsSource(texts)


def _hugging_face(texts: Sequence[str]) -> Iterator[Source]:
    for text in texts:
        folder, _, split = (text, "", "") if os.path.isdir(text) else text.rpartition(":")
        yield HuggingFaceSource(folder, split or None)


def _datasets(texts: Sequence[str]) -> Iterator[Source]:
    yield from map(DatasetSource, texts)


_MAKERS: dict[str, Callable[[Sequence[str]], Iterator[Source]]] = {
    _FILES: _files,
    _TABLES: _tables,
    _SHARDS: _shards,
    _HUGGING_FACE: _hugging_face,
    _DATASET: _datasets,
}
