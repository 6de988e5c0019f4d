"""What calls have borrowed now: how it is undone, and whose turn it is.

The ledger: before anything is changed, a step that undoes it is noted. Every step may be taken more than once. A block
that ends takes the steps noted inside it; where an interrupt hits just that, a block around it takes what is left.

The turns: calls that share a module take turns, in the order in which they came; calls that share none run side by
side. There is no lock that somebody could die with: the turns stand in one dictionary, which changes by single steps of
the interpreter, and ending a turn twice is as good as once. So an interrupt at any instant, or a fork, leaves nothing
shut.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from queue import Empty, SimpleQueue
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


# A turn that ends wakes who waits for it. Should that get lost, they look again after so many seconds.
_PATIENCE = 0.1


class Turn:
    """What one thread wants to have for itself.

    Args:
        things: modules, or whatever else has an identity. They are kept alive.

    Attributes:
        thread: who wants them.
        running: whether the turn has begun.
        waits_for: the turn that has to end first, while this one waits.
        ended: holds a token once the turn has ended; who takes it puts it back for the next.
    """

    __slots__ = ("_things", "ended", "identities", "running", "thread", "waits_for")

    def __init__(self, things: Iterable[object]) -> None:
        self._things = tuple(things)
        self.identities = frozenset(map(id, self._things))
        self.thread = threading.get_ident()
        self.running = False
        self.waits_for: Turn | None = None
        self.ended: SimpleQueue[None] = SimpleQueue()


_queue: dict[Turn, None] = {}  # turns that run or wait, in the order in which they came


def begin_turn(turn: Turn) -> None:
    """Wait until no other thread has, or waits longer for, something of what the turn is for.

    Whoever calls this calls ``end_turn`` afterwards, also if this raises.

    Raises:
        RuntimeError: if that would be for ever, because the other thread waits for this one.
    """
    _queue[turn] = None
    while len(_queue) > 1 and (other := _in_front_of(turn)) is not None:
        turn.waits_for = other
        if _leads_to(other, turn.thread):
            raise RuntimeError(
                "two threads explain one network inside a call about another, in opposite order, and each waits for "
                "what the other one has; explain the networks one after the other, or in the same order in all threads"
            )
        try:
            other.ended.get(timeout=_PATIENCE)
        except Empty:
            continue
        other.ended.put(None)
    turn.waits_for = None
    turn.running = True


def end_turn(turn: Turn) -> None:
    """Let others have what the turn was for; does nothing where it has ended."""
    _queue.pop(turn, None)
    turn.ended.put(None)


def _in_front_of(turn: Turn) -> Turn | None:
    """Return the first turn that this one has to wait for."""
    for other in _queue.copy():
        if other is turn:
            return None
        if other.thread == turn.thread or turn.identities.isdisjoint(other.identities):
            continue
        # One that waits for this very thread, which is in the middle of another turn, cannot be waited for.
        if other.running or not _leads_to(other, turn.thread):
            return other
    return None


def _leads_to(turn: Turn, thread: int) -> bool:
    """Say whether a turn cannot end before ``thread`` ends one of its own."""
    seen: set[Turn] = set()
    while turn not in seen:
        seen.add(turn)
        if turn.thread == thread:
            return True
        waits = [other.waits_for for other in _queue.copy() if other.thread == turn.thread and other.waits_for]
        following = [other for other in waits if other in _queue]  # it may just have ended
        if not following:
            return False
        turn = following[-1]
    return False


def _forget_other_threads() -> None:
    """In the child of a fork no other thread lives on, and none of their turns will ever end."""
    for turn in _queue.copy():
        if turn.thread != threading.get_ident():
            end_turn(turn)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forget_other_threads)
    os.register_at_fork(after_in_child=_give_back_for_dead_threads)


def taking_turns(things: Iterable[object]) -> Block:
    """Let one thread at a time have these modules; the same thread may enter again (a method inside a method)."""

    def borrow() -> None:
        turn = Turn(things)
        note(partial(end_turn, turn))
        begin_turn(turn)

    return Block(borrow)
