"""Pictures of a Hugging Face data set that ``save_to_disk`` wrote; nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data.images import decode_image, read_image
from pytorch_grad_cam.data.sources.ids import id_of_row, readable

_ONE, _SEVERAL = "state.json", "dataset_dict.json"  # a file that tells one data set, or one of several splits
_PICTURES = ("image", "img")  # which comes first, where several columns have pictures
_LABELS = ("label", "labels")  # likewise
_ROWS = 4096  # whose labels are read at once


def is_data_set(folder: str) -> bool:
    """Say whether a folder is a data set that was written to disk, of one split or several."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in (_ONE, _SEVERAL))


@dataclass(frozen=True, slots=True)
class HuggingFaceItem:
    """A picture of a data set on disk; see `sources.item.Item`.

    Attributes:
        table: where the pictures are; another process opens it when it reads its first.
        row: of the picture, from 0.
    """

    id: str
    table: _Table
    row: int
    label: str | int | None = None

    @property
    def origin(self) -> str:
        """Where it lies, for people."""
        return f"row {self.row} of {self.table.name}"

    @property
    def target(self) -> None:
        """Nothing that the data set says."""
        return None

    def read(self, max_pixels: int) -> NDArray[np.uint8]:
        """Return the picture, uint8 RGB ``(H, W, 3)``."""
        picture = self.table.cell(self.row)
        if picture is None or (picture.get("bytes") is None and not picture.get("path")):
            raise ValueError(f"{self.origin} has no picture")
        if picture.get("bytes") is not None:
            return decode_image(picture["bytes"], self.origin, max_pixels)
        return read_image(picture["path"], max_pixels=max_pixels)


class HuggingFaceSource:
    """The pictures of a data set that ``datasets.Dataset.save_to_disk`` wrote.

    The picture is in the column whose feature is an ``Image``; of several, in ``image`` or ``img``. The label is the
    name that a ``ClassLabel`` has for it; of several columns with one, in ``label`` or ``labels``, else in the first.
    Without any, a text or whole number in the column ``label`` or ``labels`` is taken. The id is the number of the row,
    behind that of the split if there are several.

    Args:
        folder: of the data set.
        split: which one, if the folder holds several.

    Raises:
        ImportError: without the package datasets.
        OSError, ValueError: if the folder is no such data set, is damaged, or has no pictures; if a split is missing.
    """

    def __init__(self, folder: str, split: str | None = None) -> None:
        data, split = _load(folder, split)
        column = _picture_column(data, folder)
        shown = folder if split is None else f"{folder}:{split}"
        self._table = _Table(os.path.abspath(folder), split, column, str(data._fingerprint), readable(shown))
        self._before = "" if split is None else f"{readable(split)}/"
        self._labels, self._labelled_by = _labels(data, self._table.name)
        self._count = len(data)

    @property
    def description(self) -> str:
        """What it is, for people: with the column of the labels."""
        return f"data set: {self._table.name}" + (f" (labels: {self._labelled_by})" if self._labelled_by else "")

    def __iter__(self) -> Iterator[HuggingFaceItem]:
        """Yield the pictures in the order of the rows."""
        for row in range(self._count):
            yield HuggingFaceItem(self._before + id_of_row(row), self._table, row, self._labels[row])

    def __len__(self) -> int:
        return self._count


@dataclass(frozen=True, slots=True)
class _Table:
    """A data set's column of pictures, which every process opens once.

    Attributes:
        folder: from the root on.
        fingerprint: what the library calls this content.
        name: for people.
    """

    folder: str
    split: str | None
    column: str
    fingerprint: str
    name: str

    def cell(self, row: int) -> dict[str, Any] | None:
        """Return a row's picture as it is stored, ``bytes`` or the ``path`` of a file."""
        data = _pictures(self)
        try:
            found: dict[str, Any] | None = data[row][self.column]
        except Exception as error:  # of a damaged file, which is only looked at now
            raise ValueError(f"row {row} of {self.name} cannot be read: {error}; the file may be damaged") from error
        return found


@lru_cache(maxsize=16)
def _pictures(table: _Table) -> Any:
    """Return the column of pictures, not decoded, as rows."""
    data, _ = _load(table.folder, table.split)
    if data._fingerprint != table.fingerprint:
        raise ValueError(f"{table.name} has been written anew since its pictures were listed; begin again")
    as_stored = need("datasets").Image(decode=False)
    return data.select_columns([table.column]).with_format(None).cast_column(table.column, as_stored)


def _load(folder: str, split: str | None) -> tuple[Any, str | None]:
    """Return a data set of one split, and the name of that if the folder may hold several."""
    datasets = need("datasets")
    if not is_data_set(folder):
        raise FileNotFoundError(f"{folder} is no folder that save_to_disk of the package datasets wrote")
    try:
        data = datasets.load_from_disk(folder)
    except Exception as error:  # a damaged file makes the package raise almost anything
        raise ValueError(
            f"the data set {folder} cannot be read: {type(error).__name__}: {error}; write it anew with save_to_disk"
        ) from error
    if not isinstance(data, datasets.DatasetDict):
        if split is not None:
            raise ValueError(f"the data set {folder} has no splits; leave out :{split}")
        return data, None
    if split is None and len(data) == 1:
        split = next(iter(data))
    if split not in data:
        has = "has several splits" if split is None else f"has no split {split!r}"
        raise ValueError(f"the data set {folder} {has}; give {' or '.join(f'{folder}:{name}' for name in data)}")
    return data[split], split


def _picture_column(data: Any, folder: str) -> str:
    image = need("datasets").Image
    columns = [name for name, feature in data.features.items() if isinstance(feature, image)]
    preferred = [name for name in _PICTURES if name in columns] or columns
    if not columns:
        raise ValueError(
            f"the data set {folder} has no column of pictures among {', '.join(data.features)}; give one the feature "
            "Image: data.cast_column(NAME, datasets.Image())"
        )
    if len(columns) > 1 and preferred is columns:
        raise ValueError(
            f"the data set {folder} has several columns of pictures, {', '.join(columns)}; rename one to image: "
            f"data.rename_column({columns[0]!r}, 'image')"
        )
    return str(preferred[0])


def _labels(data: Any, name: str) -> tuple[list[str | int | None], str | None]:
    """Return a label for each row, and the column that they are from, if there is one."""
    column, text_of = _label_column(data)
    if column is None:
        return [None] * len(data), None
    labels: list[str | int | None] = []
    try:
        for batch in data.select_columns([column]).with_format(None).iter(batch_size=_ROWS):
            labels += [None if value is None else text_of(value) for value in batch[column]]
    except Exception as error:  # of a damaged file
        raise ValueError(f"the labels of {name} cannot be read: {error}; the file may be damaged") from error
    return labels, column


def _label_column(data: Any) -> tuple[str | None, Callable[[Any], str | int | None]]:
    """Return the column of labels and what makes a label of a value in it."""
    datasets, features = need("datasets"), data.features
    classes = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    if classes:
        column = next((name for name in _LABELS if name in classes), classes[0])
        names = [readable(name) for name in features[column].names]
        return column, lambda value: names[value] if 0 <= value < len(names) else None  # -1: not known
    for column in _LABELS:
        kind = features[column].dtype if isinstance(features.get(column), datasets.Value) else ""
        if "string" in kind:
            return column, lambda text: readable(text) or None
        if "int" in kind:
            return column, int
    return None, int
