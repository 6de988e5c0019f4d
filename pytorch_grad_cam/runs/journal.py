"""What a run on many rows has finished, on disk, so that a run that was killed can be continued."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """A number of rows that are done: everything that was to be written about them is written.

    Attributes:
        stop: the number of the row after the last one.
        failed: rows that could not be done, and why.
        notes: rows that were done, and what to know about them.
        saturated: rows whose probability was so close to 1 that its gradient vanishes.
    """

    stop: int
    failed: tuple[tuple[int, str], ...] = ()
    notes: tuple[tuple[int, str], ...] = ()
    saturated: tuple[int, ...] = ()


class Journal:
    """A file of one line per finished batch, headed by the settings of the run.

    A line is written when its batch's files are complete, so a file that is not vouched for here does not count,
    whatever it contains; of a line that a kill cut short nothing counts either.

    Args:
        path: the file; its folder is made by ``start``.
        settings: everything that decides on the result, as JSON can write it.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self._settings = json.loads(json.dumps(settings))
        self._length = 0  # bytes that count
        self.done = 0  # rows
        self.changed: list[str] = []  # settings in which an interrupted run differs from this one
        self._open()

    def start(self) -> None:
        """Make the file if this is a new run; cut off what does not count if it is not."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._length:
            os.truncate(self.path, self._length)
        else:
            self.path.write_bytes(_line({"settings": self._settings}))

    def add(self, batch: Batch) -> None:
        """Write down a finished batch."""
        with open(self.path, "ab") as file:
            file.write(_line(vars(batch)))
        self.done = batch.stop

    def batches(self) -> Iterator[Batch]:
        """Read the finished batches."""
        for record, _ in islice(self._records(), 1, None):
            yield Batch(
                record["stop"],
                tuple((row, why) for row, why in record["failed"]),
                tuple((row, what) for row, what in record["notes"]),
                tuple(record["saturated"]),
            )

    def remove(self) -> None:
        """Forget the run: it is complete."""
        self.path.unlink(missing_ok=True)

    def _open(self) -> None:
        head, _ = next(self._records(), ({}, 0))
        before = head.get("settings")
        if before is None:
            return
        if not isinstance(before, dict):
            raise ValueError(
                f"the journal {self.path} has been changed: its settings are none; delete it to start anew"
            )
        names = [*self._settings, *(name for name in before if name not in self._settings)]
        self.changed = [name for name in names if before.get(name) != self._settings.get(name)]
        if self.changed:
            return
        for record, length in self._records():
            self._length += length
            self.done = record.get("stop", 0)

    def _records(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Read the lines, with their lengths, up to the first that is not whole."""
        if not self.path.exists():
            return
        done = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file):
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError):
                    return
                if not line.endswith(b"\n") or not isinstance(record, dict):
                    return
                if number and not _is_batch(record, done):  # whole, so that no kill has made it
                    raise ValueError(
                        f"the journal {self.path} has been changed: line {number + 1} is no finished batch; "
                        "delete it to start anew"
                    )
                done = record.get("stop", 0)
                yield record, len(line)


def _is_batch(record: Mapping[str, Any], done: int) -> bool:
    """Say whether a line has the form of a `Batch` that follows ``done`` rows."""
    stop, saturated = record.get("stop"), record.get("saturated")
    pairs = [record.get("failed"), record.get("notes")]
    return (
        type(stop) is int
        and stop > done
        and isinstance(saturated, list)
        and all(type(row) is int for row in saturated)
        and all(isinstance(listed, list) and all(map(_is_note, listed)) for listed in pairs)
    )


def _is_note(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and type(entry[0]) is int and isinstance(entry[1], str)


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"
