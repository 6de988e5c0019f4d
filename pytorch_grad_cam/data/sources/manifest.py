"""Pictures that a table names: CSV, TSV, JSON lines or parquet, with labels, targets and ids if it has them."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data.reading import open_regular
from pytorch_grad_cam.data.sources.files import FileItem
from pytorch_grad_cam.data.sources.ids import check_unique, ids_of_paths, readable

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
# "file" as the tables of `cam evaluate` have it, "file_name" as folders of Hugging Face's have it.
_PATHS = ("path", "file", "file_name")
_CLASSES = ("label", "target")
_KNOWN = (*_PATHS, *_CLASSES, "id")
_ROWS = 4096  # of a parquet file that are in memory at once
_WANTED = "a CSV, TSV, JSON-lines or parquet file with the column path and, if known, label, target, id"


@dataclass(frozen=True, slots=True)
class _Row:
    """A picture as a table has it.

    Attributes:
        number: of the line or row, from 1.
        path: as it stands there.
    """

    number: int
    path: str
    label: str | int | None
    target: str | int | None
    id: str | None


class ManifestSource:
    """The pictures that the rows of a table name.

    The columns are ``path`` (``file`` and ``file_name`` mean the same) and, each if it is there, ``label`` (what the
    picture shows), ``target`` (the class that is to be explained) and ``id``; others are left alone. A CSV or TSV file
    names its columns in the first line, or has paths only. A path is taken from the table's folder on. Without an id,
    a picture's is its path without the ending, as in `sources.files.FilesSource`.

    Args:
        path: of the table, which ends in .csv, .tsv, .jsonl, .ndjson or .parquet.

    Raises:
        OSError: if it cannot be read.
        ValueError: for a row that names no picture, which is named by its number; for an id that two rows have.
        ImportError: for a parquet file without pyarrow.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = Path(path)
        self._unit = "row" if self._file.suffix.lower() == ".parquet" else "line"
        self._rows = [self._checked(number, cells) for number, cells in self._cells()]
        if not self._rows:
            raise ValueError(f"{path} names no picture; give {_WANTED}")
        self._folder = os.path.dirname(os.path.abspath(path))
        own = ids_of_paths([self._name(row) for row in self._rows])
        self._ids = [row.id or id for row, id in zip(self._rows, own, strict=True)]
        check_unique(self._ids, self._origin, "give each row an id of its own, in the column id")

    @property
    def description(self) -> str:
        """What it is, for people: with the columns that say something."""
        there = [name for name in (*_CLASSES, "id") if any(getattr(row, name) is not None for row in self._rows)]
        return f"table: {self._file}" + (f" (with {', '.join(there)})" if there else "")

    def __iter__(self) -> Iterator[FileItem]:
        """Yield the pictures in the order of the rows."""
        for index, (id, row) in enumerate(zip(self._ids, self._rows, strict=True)):
            path = os.path.abspath(os.path.join(self._folder, row.path))
            yield FileItem(id, path, self._origin(index), row.label, row.target)

    def __len__(self) -> int:
        return len(self._rows)

    def _origin(self, index: int) -> str:
        row = self._rows[index]
        return f"{readable(row.path)} ({self._unit} {row.number} of {self._file})"

    def _name(self, row: _Row) -> str:
        """Return the path from the table's folder on; of a picture elsewhere, from the root on."""
        path = os.path.abspath(os.path.join(self._folder, row.path))
        inside = path.startswith(os.path.join(self._folder, ""))
        return os.path.relpath(path, self._folder) if inside else os.path.splitdrive(path)[1].lstrip(os.sep)

    def _cells(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the number of each row and its cells by the names of the columns."""
        ending = self._file.suffix.lower()
        if ending not in ENDINGS:
            raise ValueError(f"{self._file} is no table that can be read; give {_WANTED}")
        with open_regular(self._file, _WANTED) as file:
            if ending == ".parquet":
                yield from _parquet(file, self._file)
                return
            text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
            try:
                if ending in (".csv", ".tsv"):
                    yield from _table(text, "," if ending == ".csv" else "\t", self._file)
                else:
                    yield from _objects(text, self._file)
            except UnicodeDecodeError as error:
                raise ValueError(f"{self._file} is not text in UTF-8; save it as that") from error

    def _checked(self, number: int, cells: Mapping[str, Any]) -> _Row:
        where = f"{self._unit} {number} of {self._file}"
        path = next((cells[name] for name in _PATHS if cells.get(name) not in (None, "")), None)
        if not isinstance(path, str):
            raise ValueError(f"{where} has no path of a picture" + ("" if path is None else f" but {_short(path)}"))
        if "://" in path or "\0" in path:
            raise ValueError(f"{where}: {_short(path)} is no path of a file; download the picture and give its file")
        label, target = (_class(cells.get(name), f"{where}: its {name}") for name in _CLASSES)
        id = _class(cells.get("id"), f"{where}: its id")
        return _Row(number, path, label, target, None if id is None else readable(str(id)))


def _class(value: Any, what: str) -> str | int | None:
    """Return a name or an index; None for nothing. Tables with gaps have whole numbers as floats."""
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return readable(value) if isinstance(value, str) else value
    raise ValueError(f"{what} is {_short(value)}; it must be a text or a whole number")


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _table(text: TextIOWrapper, separator: str, path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Read CSV or TSV: its first line names the columns, or is a path as all others are."""
    columns: Sequence[str] | None = None
    for number, row in _csv_rows(text, separator, path):
        if columns is None:
            names = [cell.lower() for cell in row]
            if len(row) > 1 or names[0] in _PATHS:
                columns = _columns(names, f"the first line of {path}")
                continue
            columns = ("path",)
        if len(row) != len(columns):
            raise ValueError(
                f"line {number} of {path} has {len(row)} cells, not {len(columns)} ({', '.join(columns)}): "
                f"{_short(separator.join(row))}; put quotes around a cell with {separator!r} in it"
            )
        yield number, dict(zip(columns, row, strict=True))


def _csv_rows(text: TextIOWrapper, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty with the number of the line that it begins in."""
    reader = csv.reader(text, delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"line {number} of {path} cannot be read: {error}") from error
        if row is None:
            return
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield number, cells


def _columns(names: Sequence[str], where: str) -> Sequence[str]:
    """Check the names of the columns.

    Raises:
        ValueError: if none has paths, or two that count are called the same.
    """
    wanted = [name for name in names if name in _KNOWN]
    if not any(name in _PATHS for name in wanted):
        raise ValueError(f"{where} names no column path, but {_short(', '.join(names))}; write e.g. path,label")
    twice = next((name for name in wanted if wanted.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{where} names two columns {twice}; leave one of them out")
    return names


def _objects(text: Iterable[str], path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Read JSON lines: an object in each."""
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number} of {path} is not JSON: {error}") from error
        if not isinstance(cells, dict):
            raise ValueError(f'line {number} of {path} is no object such as {{"path": "a.jpg"}}, but {_short(cells)}')
        yield number, cells


def _parquet(file: Any, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    parquet, broken = need("pyarrow.parquet"), (need("pyarrow").ArrowException, OSError, ValueError)
    damaged = f"{path} cannot be read as parquet"
    try:
        table = parquet.ParquetFile(file)
        names = table.schema_arrow.names
    except broken as error:
        raise ValueError(f"{damaged}: {error}; the file may be damaged") from error
    wanted = [name for name in _columns(names, str(path)) if name in _KNOWN]
    before = 0
    try:
        for batch in table.iter_batches(batch_size=_ROWS, columns=wanted):
            yield from enumerate(batch.to_pylist(), before + 1)
            before += len(batch)
    except broken as error:
        raise ValueError(f"{damaged} behind row {before}: {error}; the file may be damaged") from error
