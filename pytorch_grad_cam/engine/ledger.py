"""The ledger of what is changed for a call: before anything is changed, a step that undoes it is noted.

Every step may be taken more than once. A block that ends takes the steps noted inside it; where an interrupt hits just
that, a block around it takes what is left.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType

Step = Callable[[], object]

ledgers: dict[int, list[Step]] = {}  # by thread: how to undo what is changed now, in the order of the changes


def note(step: Step) -> None:
    """Note, inside a block, how to undo what is about to be changed."""
    ledgers[threading.get_ident()].append(step)


class Block:
    """Borrows when it begins; undoes, when it ends, whatever was noted meanwhile.

    Ending it again, early or late, does nothing, so it does not matter when a forgotten one is collected.
    """

    __slots__ = ("_begin", "_borrow", "_ledger", "_place")

    def __init__(self, borrow: Callable[[], object]) -> None:
        self._borrow = borrow
        self._ledger: list[Step] = []
        self._place = 0
        self._begin: Step = _Begin()

    def __enter__(self) -> None:
        try:
            ledger = ledgers.setdefault(threading.get_ident(), [])
            self._place = len(ledger)
            self._ledger = ledger
            ledger.append(self._begin)
            self._borrow()
        except BaseException:
            self.end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        ledger, place = self._ledger, self._place
        while len(ledger) > place and ledger[place] is self._begin:
            _undo_last(ledger)


class _Begin:
    """Marks in a ledger where a block begins."""

    __slots__ = ()

    def __call__(self) -> None:
        """Undo nothing."""


def _undo_last(ledger: list[Step]) -> None:
    """Take the last step of a ledger; one that an interrupt hits stays noted, one that fails does not."""
    length = len(ledger)
    try:
        ledger[-1]()
    except Exception:
        del ledger[length - 1 :]
        raise
    del ledger[length - 1 :]


def _give_back_for_dead_threads() -> None:
    """In the child of a fork, give back what other threads had borrowed: they do not live on to do it."""
    for thread in list(ledgers):
        if thread != threading.get_ident():
            ledger = ledgers.pop(thread)
            while ledger:
                _undo_last(ledger)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_give_back_for_dead_threads)
