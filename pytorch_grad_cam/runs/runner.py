"""Rows in, files out: decoding and writing in threads, the network in batches, and each batch vouched for in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Generic, TypeVar

R = TypeVar("R")  # a row
D = TypeVar("D")  # a row that was decoded
F = TypeVar("F")  # its result

AHEAD = 2  # batches that are decoded in advance
Decoded = list[tuple[R, D | Exception]]


class BatchRunner(Generic[R, D, F]):
    """Does the same to any number of rows in constant memory.

    While the network works on one batch, threads decode the next ones and write the one before. Rows are put together
    to batches by their position alone, so a run that continues where another was killed computes the same batches.

    Args:
        decode: from a row to what the network needs; called in threads. A row for which it raises has failed; the
            others go on.
        explain: from decoded rows, at most ``batch_size``, to one result each, or an exception for a row that has
            failed; called in the caller's thread.
        write: draws a result and writes its file; called in threads.
        commit: is told of each batch, in order, when all its files are written: its rows with what became of each,
            a result or an exception. Called in one other thread.
        batch_size: rows per batch.
        workers: threads; None takes one per core, at least two.
        gather: from the decoded rows of a batch to the same, put together for ``explain``; called in one other thread
            for the next batch, while ``explain`` works on one.
    """

    def __init__(
        self,
        decode: Callable[[R], D],
        explain: Callable[[Sequence[D]], Sequence[F | Exception]],
        write: Callable[[R, F], None],
        commit: Callable[[Sequence[tuple[R, F | Exception]]], None],
        batch_size: int,
        workers: int | None = None,
        gather: Callable[[Sequence[D]], Sequence[D]] = list,
    ) -> None:
        self._gather = gather
        self._decode, self._explain, self._write, self._commit = decode, explain, write, commit
        self._batch_size = batch_size
        self._workers = workers or max(2, os.cpu_count() or 1)

    def run(self, rows: Iterable[R]) -> None:
        """Do all rows.

        Raises:
            Exception: what ``explain``, ``write`` or ``commit`` raised; batches that were committed stay so.
        """
        pool, gatherer, committer = (ThreadPoolExecutor(threads) for threads in (self._workers, 1, 1))
        try:
            settled: Future[None] | None = None
            for batch, good in self._gathered(gatherer, self._decoded(pool, rows)):
                results = iter(self._explain(good) if good else ())
                outcomes: list[tuple[R, F | Exception]] = [
                    (row, decoded if isinstance(decoded, Exception) else next(results)) for row, decoded in batch
                ]
                written = [pool.submit(self._write_some, part) for part in self._parts(outcomes)]
                if settled is not None:
                    settled.result()  # never more than one batch behind
                settled = committer.submit(self._settle, written, outcomes)
            if settled is not None:
                settled.result()
        finally:
            for threads in (pool, gatherer, committer):
                _end(threads)

    def _gathered(
        self, gatherer: ThreadPoolExecutor, batches: Iterator[Decoded[R, D]]
    ) -> Iterator[tuple[Decoded[R, D], Sequence[D]]]:
        """Put together one batch in advance: yield each, and those of its rows that could be decoded."""

        def following() -> tuple[Decoded[R, D], Sequence[D]] | None:
            batch = next(batches, None)
            if batch is None:
                return None
            good = [decoded for _, decoded in batch if not isinstance(decoded, Exception)]
            return batch, self._gather(good) if good else good

        coming = gatherer.submit(following)
        while (found := coming.result()) is not None:
            coming = gatherer.submit(following)
            yield found

    def _decoded(self, pool: ThreadPoolExecutor, rows: Iterable[R]) -> Iterator[Decoded[R, D]]:
        """Decode batches in advance."""
        coming: deque[list[Future[Decoded[R, D]]]] = deque()
        remaining = iter(rows)
        while True:
            while len(coming) <= AHEAD and (batch := list(islice(remaining, self._batch_size))):
                coming.append([pool.submit(self._decode_some, part) for part in self._parts(batch)])
            if not coming:
                return
            yield [decoded for part in coming.popleft() for decoded in part.result()]

    def _parts(self, batch: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Share a batch out among the threads; a task per row would cost as much as a small picture."""
        size = -(-len(batch) // self._workers)
        return (batch[start : start + size] for start in range(0, len(batch), size))

    def _decode_some(self, rows: Sequence[R]) -> Decoded[R, D]:
        return [(row, self._decode_one(row)) for row in rows]

    def _decode_one(self, row: R) -> D | Exception:
        try:
            return self._decode(row)
        except Exception as error:  # a damaged file may raise anything
            return error

    def _write_some(self, outcomes: Sequence[tuple[R, F | Exception]]) -> None:
        for row, outcome in outcomes:
            if not isinstance(outcome, Exception):
                self._write(row, outcome)

    def _settle(self, written: Sequence[Future[None]], outcomes: Sequence[tuple[R, F | Exception]]) -> None:
        for part in written:
            part.result()
        self._commit(outcomes)


def _end(threads: ThreadPoolExecutor) -> None:
    """Wait for what is being done, also if Ctrl-C comes again: the caller gives his lock back when nobody writes."""
    interrupted = False
    while True:
        try:
            threads.shutdown(wait=True, cancel_futures=True)
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
