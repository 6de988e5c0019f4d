"""Dataset CSV files as Neural Network Console writes and reads them: pictures, labels, and a column added."""

from __future__ import annotations

import csv
import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from pathlib import Path

from pytorch_grad_cam.data.files import write_bytes

_CHUNK = 1 << 16  # characters that are written at once
_HEADER = re.compile(r"(?P<name>.+?)(?:__(?P<index>\d+))?(?::(?P<label>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """One cell of the header, ``NAME[__INDEX][:LABEL]``."""

    name: str  # of the variable; empty for a column that does not count (``#...``)
    index: int | None  # of the element, for a variable that is spread over several columns
    label: str  # what the column shows, for people

    @classmethod
    def parse(cls, cell: str) -> Column:
        """Read one cell of the header."""
        match = None if cell.startswith("#") else _HEADER.fullmatch(cell.strip())
        if match is None:
            return cls("", None, cell)
        return cls(match["name"], None if match["index"] is None else int(match["index"]), match["label"] or "")


@dataclass(frozen=True)
class Row:
    """One row below the header."""

    index: int  # its number, from 0; empty lines do not count
    line: int  # of the file that it ends on, from 1; the header's is 1
    cells: tuple[str, ...]  # one text per column


class DatasetCsv:
    """A dataset CSV, UTF-8 with or without a byte order mark, read row by row, so that its length does not matter.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: if there is no such file to read.
        ValueError: if it has no header or another encoding.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.folder = self.path.parent
        if self.path.is_dir():
            raise IsADirectoryError(f"{self.path} is a folder; give the dataset CSV file in it")
        if not self.path.exists():
            raise FileNotFoundError(f"there is no file {self.path}; give a dataset CSV with --input")
        header = next(self._lines(), (0, ()))[1]
        if not any(header):
            raise ValueError(f"{self.path} is empty; the first line of a dataset CSV names its columns, e.g. x:image,y")
        self.header = tuple(header)
        self.columns = tuple(map(Column.parse, header))

    def rows(self, start: int = 0) -> Iterator[Row]:
        """Read the rows from number ``start`` on.

        Raises:
            ValueError: if the header is not the one of before.
        """
        lines = self._lines()
        if next(lines, (0, ()))[1] != self.header:
            raise ValueError(f"the header of {self.path} was changed while it was being read; give the command again")
        yield from (Row(index, line, cells) for index, (line, cells) in enumerate(lines) if index >= start)

    def count(self) -> int:
        """Count the rows."""
        return sum(1 for _ in self._lines()) - 1

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def positions(self, variable: str) -> list[int]:
        """Find the columns of a variable: one of its own, or ``__0``, ``__1``, ... in this order.

        Raises:
            ValueError: if there is none (the message names those there are), or they contradict each other.
        """
        positions = [position for position, column in enumerate(self.columns) if column.name == variable]
        if not positions:
            names = ", ".join(dict.fromkeys(column.name for column in self.columns if column.name))
            raise ValueError(f"{self.path} has no variable {variable!r}; its variables are {names or 'none'}")
        indices = [self.columns[position].index for position in positions]
        if indices == [None]:
            return positions
        placed = {index: position for index, position in zip(indices, positions, strict=True) if index is not None}
        if sorted(placed) != list(range(len(positions))):
            raise ValueError(
                f"the columns of {variable!r} in {self.path} contradict each other; a variable has one column, or one "
                f"for each element, {variable}__0, {variable}__1, ..."
            )
        return [placed[index] for index in range(len(positions))]

    def file(self, cell: str) -> str:
        r"""Return the file that a cell names, relative to the CSV's folder; ``\`` separates folders too."""
        return os.path.normpath(os.path.join(self.folder, cell.strip().replace("\\", "/")))

    def checked(self, row: Row) -> Row:
        """Return the row.

        Raises:
            ValueError: if it has more or fewer cells than the header.
        """
        if len(row.cells) != len(self.header):
            raise ValueError(f"it has {len(row.cells)} cells, the header {len(self.header)}")
        return row

    def copied(self, folder: Path) -> Iterator[tuple[Row, list[str]]]:
        """Yield every row, and its cells for a CSV in another folder: those that name a file of ours still do there."""
        here = os.path.realpath(folder) == os.path.realpath(self.folder)
        for row in self.rows():
            columns = [*self.columns, *[None] * len(row.cells)]
            cells = [
                cell if here or (column is not None and not column.name) else self._moved(cell, folder)
                for cell, column in zip(row.cells, columns, strict=False)
            ]
            yield row, cells

    def _moved(self, cell: str, folder: Path) -> str:
        path = self.file(cell)
        if not cell.strip() or _is_number(cell) or os.path.isabs(cell.strip()) or not os.path.isfile(path):
            return cell
        try:
            return Path(os.path.relpath(path, folder)).as_posix()
        except ValueError:  # another drive
            return Path(path).resolve().as_posix()

    def _lines(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Read the lines that are not empty, with their numbers."""
        try:
            with open(self.path, encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file)
                for cells in reader:
                    if cells:
                        yield reader.line_num, tuple(cells)
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} is not UTF-8 ({error.reason}); save it as CSV UTF-8") from error
        except csv.Error as error:
            raise ValueError(f"{self.path} cannot be read as CSV: {error}") from error


class Labels:
    """The class of each row: an integer, one column per class, or a file with a vector.

    Of a network with a single output there is nothing to choose: class 0.

    Raises:
        ValueError: if the dataset has no such variable, which holds the label; e.g. ``y``.
    """

    def __init__(self, dataset: DatasetCsv, variable: str, classes: int) -> None:
        self.dataset, self.variable, self.classes = dataset, variable, classes
        self._positions = [] if classes == 1 else dataset.positions(variable)
        self._of_file: dict[str, int] = {}  # files of labels are few: one per class

    def __call__(self, row: Row) -> int:
        """Return the class of a row.

        Raises:
            ValueError, OSError: if the label names no class of the network.
        """
        if self.classes == 1:
            return 0
        cells = [row.cells[position].strip() for position in self._positions]
        if len(cells) > 1:
            return self._marked([_number(cell, self.variable) for cell in cells])
        if _is_number(cells[0]):
            return self._index(float(cells[0]))
        if not cells[0]:
            raise ValueError(f"its label {self.variable!r} is empty")
        if cells[0] not in self._of_file:
            if len(self._of_file) > 10_000:
                self._of_file.clear()
            self._of_file[cells[0]] = self._from_file(Path(self.dataset.file(cells[0])))
        return self._of_file[cells[0]]

    def forget_files(self) -> None:
        """Read files of labels again from now on."""
        self._of_file.clear()

    def _from_file(self, path: Path) -> int:
        if not path.is_file():
            raise ValueError(f"its label {path} is neither a number nor a file")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"its label {path} is no CSV file with a vector") from error
        values = [_number(cell, str(path)) for cell in re.split(r"[,\s]+", text) if cell]
        return self._index(values[0]) if len(values) == 1 else self._marked(values)

    def _index(self, value: float) -> int:
        if not (value.is_integer() and 0 <= value < self.classes):
            raise ValueError(f"its label {value:g} is no class of the network, 0 to {self.classes - 1}")
        return int(value)

    def _marked(self, vector: list[float]) -> int:
        """Return where a vector has its maximum."""
        if len(vector) != self.classes:
            raise ValueError(f"its label has {len(vector)} elements, the network {self.classes} outputs")
        best = max(vector)
        if vector.count(best) != 1 or not all(map(math.isfinite, vector)):
            raise ValueError("its label marks no class: several elements are the largest")
        return vector.index(best)


def write_dataset(path: str | Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a CSV file as Neural Network Console does, as a whole or not at all; the rows are written as they come.

    Nobody else may write it meanwhile. If the rows raise an exception, the file that was there before stays.

    Raises:
        OSError: if the folder cannot be made or written to.
        Exception: what ``rows`` raised.
    """
    write_bytes(path, _encoded(header, rows), durable=True, sole_writer=True)


def _encoded(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[bytes]:
    """Yield the lines of a CSV file, many at once."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for cells in chain([header], rows):
        writer.writerow(cells)
        if text.tell() > _CHUNK:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, where: str) -> float:
    if not _is_number(cell):
        raise ValueError(f"its label {where!r} has the element {cell!r}, which is no number")
    return float(cell)
