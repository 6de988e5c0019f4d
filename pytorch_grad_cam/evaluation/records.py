"""What was measured, batch by batch and row by row, in memory and, if asked for, in a journal on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytorch_grad_cam.runs.journal import Batch, Journal


class JournalError(ValueError):
    """There is a journal, and it cannot be continued."""


class Records:
    """A record for each batch of images and each row: a journal's rows are batches x (1 + rows).

    The first record of a batch is about its images. A batch whose images are not those of the journal is measured anew.

    Args:
        path: of the journal; None: nothing is kept on disk.
        per_batch: records of a batch.
        settings: everything that decides on the numbers.

    Raises:
        JournalError: if there is a journal with other settings, or one that cannot be read.
    """

    def __init__(self, path: Path | None, per_batch: int, settings: Mapping[str, Any]) -> None:
        self._per_batch = per_batch
        self._records: dict[int, dict[str, Any]] = {}
        self.batches = 0
        self._journal = None if path is None else _opened(path, settings)
        for batch in self._journal.batches() if self._journal else ():
            self._records[batch.start] = batch.values

    def begin(self, batch: int, digest: str) -> bool:
        """Begin with a batch; return whether its images are those that were measured before."""
        self.batches = batch + 1
        known = self._records.get(batch * self._per_batch)
        if known is not None and known["digest"] == digest:
            return True
        for place in range(self._per_batch):  # of other images
            self._records.pop(batch * self._per_batch + place, None)
        return False

    def get(self, batch: int, place: int) -> dict[str, Any] | None:
        """Return a record; None if there is none of these images."""
        return self._records.get(batch * self._per_batch + place)

    def add(self, batch: int, place: int, record: dict[str, Any]) -> None:
        """Keep a record; when this returns, the disk has it."""
        number = batch * self._per_batch + place
        if self._journal is not None:
            self._journal.add(Batch(number, number + 1, values=record))
        self._records[number] = record

    def fails_always(self, place: int) -> str | None:
        """Return why a row made no map of the first batch: then it is not tried again."""
        first = self._records.get(place)
        return None if first is None or "maps" in first else first["reason"]

    def of_row(self, place: int) -> Iterator[dict[str, Any]]:
        """Yield the records of a row, or (0) those about the images, in the order of the batches."""
        for batch in range(self.batches):
            yield self._records[batch * self._per_batch + place]


def _opened(path: Path, settings: Mapping[str, Any]) -> Journal:
    journal = Journal(path, settings)
    if journal.changed:
        raise JournalError(
            f"{path} keeps what was measured with other settings ({', '.join(journal.changed)}); give the same as "
            "then, or another file, or delete it"
        )
    if journal.unreadable and not journal.done:
        raise JournalError(f"{path} {journal.unreadable}, so it cannot be continued; give another file, or delete it")
    journal.start()
    return journal
