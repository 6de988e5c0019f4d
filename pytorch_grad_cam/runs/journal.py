"""What a run on many rows has finished, on disk, so that a run that was killed can be continued."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pytorch_grad_cam.data.files import append_bytes, write_bytes
from pytorch_grad_cam.runs.file_state import FileState, digest

FORMAT = 2


class RowState(NamedTuple):
    """What a row was made of, and what was made."""

    cells: str  # digest of what the row says
    input: FileState | None  # the file that it names; None if there was none
    result: FileState | None  # the file that was written; None if the row failed


@dataclass(frozen=True)
class Batch:
    """A number of rows that are done: everything that was to be written about them is written."""

    start: int  # the number of the first row
    stop: int  # the number of the row after the last one
    failed: tuple[tuple[int, str], ...] = ()  # rows that could not be done, and why
    notes: tuple[tuple[int, str], ...] = ()  # rows that were done, and what to know about them
    saturated: tuple[int, ...] = ()  # rows whose probability was so close to 1 that its gradient vanishes
    rows: tuple[RowState, ...] = ()  # one per row
    values: Any = None  # what was found out about them, as JSON can write it, where no file holds it


class Journal:
    """A file of one line per finished batch, headed by the settings of the run.

    A line is written when its batch's files are complete, so a file that is not vouched for here does not count,
    whatever it contains; and it says by digests what they contain, so one that a power cut took away is missed. Every
    line ends in a digest of itself: of a line that a kill cut short, or that something
    else has changed, nothing counts, nor does what follows it. A batch that was done again has a second line, which
    counts instead of its first.

    Args:
        path: the file; its folder is made by ``start``.
        settings: everything that decides on the result, as JSON can write it.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self._settings = json.loads(json.dumps(settings))
        self._length = 0  # bytes that count
        self._places: dict[int, int] = {}  # where the line of a batch begins, by its first row
        self._stops: dict[int, int] = {}
        self.added: set[int] = set()  # first rows of the batches that were added, not read
        self.done = 0  # rows
        self.changed: list[str] = []  # settings in which an interrupted run differs from this one
        self.unreadable = ""  # why a journal that is there does not count, or not all of it
        self._open()

    def start(self) -> None:
        """Make the file if this is a new run; cut off what does not count if it is not."""
        if self._length:
            append_bytes(self.path, b"", self._length)
            return
        head = _line({"format": FORMAT, "settings": self._settings})
        write_bytes(self.path, head, durable=True, sole_writer=True)
        self._length = len(head)

    def add(self, batch: Batch) -> None:
        """Write down a finished batch: the one that follows those that are done, or one of them again.

        Raises:
            ValueError: for other rows.
            OSError: if it cannot be written; then it does not count.
        """
        if not self._fits(batch.start, batch.stop):
            raise ValueError(
                f"rows {batch.start} to {batch.stop} are no batch of the run, of which {self.done} are done"
            )
        line = _line(vars(batch))
        append_bytes(self.path, line, self._length)
        self._count(batch.start, batch.stop, len(line))
        self.added.add(batch.start)

    def batches(self) -> Iterator[Batch]:
        """Read the finished batches in the order of their rows.

        Raises:
            OSError: if the file is gone.
            ValueError: if it has been changed since this run began.
        """
        if not self._places:
            return
        with open(self.path, "rb") as file:
            for start in sorted(self._places):
                file.seek(self._places[start])
                record = _record(file.readline())
                if record is None or not _is_batch(record) or record["start"] != start:
                    raise ValueError(f"{self.path} was changed while the run was at work; give the same command again")
                yield _batch(record)

    def remove(self) -> None:
        """Forget the run: it is complete."""
        self.path.unlink(missing_ok=True)

    def _open(self) -> None:
        if not self.path.exists():
            return
        with open(self.path, "rb") as file:
            line = file.readline()
            head = _record(line)
            if head is None:
                self.unreadable = "was written by another version, or is damaged" if line.endswith(b"\n") else ""
                return
            settings = head.get("settings")
            before = {**(settings if isinstance(settings, dict) else {}), "format": head.get("format")}
            now = {**self._settings, "format": FORMAT}
            self.changed = [name for name in dict.fromkeys([*now, *before]) if before.get(name) != now.get(name)]
            if self.changed:
                return
            self._length = len(line)
            for line in file:
                record = _record(line)
                if record is None or not _is_batch(record) or not self._fits(record["start"], record["stop"]):
                    self.unreadable = "is damaged" if line.endswith(b"\n") else ""
                    return
                self._count(record["start"], record["stop"], len(line))

    def _fits(self, start: int, stop: int) -> bool:
        return start < stop and (start == self.done or self._stops.get(start) == stop)

    def _count(self, start: int, stop: int, length: int) -> None:
        self._places[start], self._stops[start] = self._length, stop
        self._length += length
        self.done = max(self.done, stop)


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record).encode()
    return text + b" " + digest(text).encode() + b"\n"


def _record(line: bytes) -> dict[str, Any] | None:
    """Read a line; None if it is not as it was written."""
    text, _, checked = line.rpartition(b" ")
    if checked != digest(text).encode() + b"\n":
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _is_batch(record: Mapping[str, Any]) -> bool:
    """Say whether a line says what `Journal.add` writes; its digest only says that nothing changed it by chance."""
    try:
        batch = _batch(record)
    except (KeyError, TypeError, ValueError):
        return False
    said = [*batch.failed, *batch.notes]
    numbers = [batch.start, batch.stop, *batch.saturated, *(row for row, _ in said)]
    texts = [*(text for _, text in said), *(row.cells for row in batch.rows)]
    for state in (state for row in batch.rows for state in (row.input, row.result) if state is not None):
        numbers += state[:2]
        texts.append(state.digest)
    return all(type(number) is int for number in numbers) and all(isinstance(text, str) for text in texts)


def _batch(record: Mapping[str, Any]) -> Batch:
    return Batch(
        record["start"],
        record["stop"],
        tuple((row, why) for row, why in record["failed"]),
        tuple((row, what) for row, what in record["notes"]),
        tuple(record["saturated"]),
        tuple(RowState(cells, _state(before), _state(after)) for cells, before, after in record["rows"]),
        record.get("values"),
    )


def _state(values: list[Any] | None) -> FileState | None:
    return None if values is None else FileState(*values)
