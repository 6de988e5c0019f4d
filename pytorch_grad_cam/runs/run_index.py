"""The index of a run: a line of JSON for each picture, written when all that it says is true."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_grad_cam.data.files import append_bytes, write_bytes

Row = dict[str, Any]


class RunIndex:
    """A file of rows, each with the position of its picture in the source.

    Rows are added batch by batch. A line that a kill cut short does not count; of two rows of one picture the later one
    does. The file holds no times and no names of machines: two runs that did the same have the same index.

    Args:
        path: the file; it is made when the first rows are added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._length = 0  # bytes that count
        self._states: dict[int, tuple[int, str]] = {}  # by position: where the row begins, and its status
        self._sorted = True
        self._read()

    def __len__(self) -> int:
        """Return how many pictures have a row."""
        return len(self._states)

    def statuses(self) -> Mapping[int, str]:
        """Return the status of each picture that has a row, by its position."""
        return {position: status for position, (_, status) in self._states.items()}

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows down; when this returns, the disk has them.

        Raises:
            OSError: if they cannot be written; then none of them counts.
        """
        if not self._length:
            write_bytes(self.path, b"", durable=True, sole_writer=True)
        data = b"".join(json_line(row) for row in rows)
        append_bytes(self.path, data, self._length)
        for row in rows:
            self._count(row)
            self._length += len(json_line(row))

    def rows(self) -> Iterator[Row]:
        """Read the rows in the order of their pictures."""
        if not self._states:
            return
        with open(self.path, "rb") as file:
            for position in sorted(self._states):
                file.seek(self._states[position][0])
                yield json.loads(file.readline())

    def put_in_order(self) -> None:
        """Write the file anew, each picture once and in order, if it is not so already."""
        if not self._sorted:
            write_bytes(self.path, (json_line(row) for row in self.rows()), durable=True, sole_writer=True)
            self._length, self._states, self._sorted = 0, {}, True
            self._read()

    def _read(self) -> None:
        if not self.path.exists():
            return
        with open(self.path, "rb") as file:
            for line in file:
                row = _row(line)
                if row is not None:
                    self._count(row)
                elif line.endswith(b"\n"):
                    self._sorted = False  # something else has changed it: that picture is done again
                else:
                    return
                self._length += len(line)

    def _count(self, row: Row) -> None:
        position = row["position"]
        self._sorted &= position > next(reversed(self._states), -1)
        self._states.pop(position, None)
        self._states[position] = (self._length, row["status"])


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a whole index at once. The caller holds the folder's lock."""
    write_bytes(path, (json_line(row) for row in rows), durable=True, sole_writer=True)


def json_line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def _row(line: bytes) -> Row | None:
    """Read a line; None if it is none that was written whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_row = isinstance(row, dict) and type(row.get("position")) is int and isinstance(row.get("status"), str)
    return row if is_row else None
