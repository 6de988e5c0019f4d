"""Say how far the maps of a picture are: a line for each that is done, for long ones a bar, or lines now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from pytorch_grad_cam.cli.explain.schedule import duration

HEARTBEAT = 20.0  # seconds between two lines about one map, where no bar can be shown


class Watch:
    """Tells whoever waits for the maps of one picture how far they are.

    Args:
        say: prints a line on the screen, above a bar.
        maps: how many there are.
        passes: that they take together; None if that is not known, because it is little.
        lines: whether each map gets a line when it is done.
    """

    def __init__(self, say: Callable[[str], None], maps: int, passes: float | None, lines: bool) -> None:
        self._say, self._maps, self._passes, self._lines = say, maps, passes, lines
        self._number, self._done = 0, 0.0
        self._label, self._cost, self._start, self._told = "", 0.0, 0.0, 0.0
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._passes is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=round(self._passes), unit="pass", leave=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def begin_map(self, label: str, passes: float | None) -> None:
        """Take note that a map is being made that takes so many passes."""
        self._label, self._cost = label, passes or 0.0
        self._start = self._told = time.monotonic()
        if self._bar is not None:
            self._bar.set_description(label)

    def step(self, done: int, total: int) -> None:
        """Take note of how far this map is; a method calls it."""
        share = min(done / max(total, 1), 1.0)
        if self._bar is not None:
            self._bar.update(round(self._done + share * self._cost) - self._bar.n)
            return
        now = time.monotonic()
        if now - self._told >= HEARTBEAT and 0 < share < 1:
            self._told = now
            passed = now - self._start
            rest = f"{duration(passed)} so far, about {duration(passed / share - passed)} to go"
            print(f"            {self._label}: {100 * share:.0f} %, {rest}", file=sys.stderr, flush=True)

    def end_map(self, outcome: str) -> float:
        """Say what became of this map; return the seconds that it took."""
        seconds = time.monotonic() - self._start
        self._number += 1
        self._done += self._cost
        if self._bar is not None:
            self._bar.update(round(self._done) - self._bar.n)
        if self._lines:
            passes = "" if self._passes is None else f"; {self._done:,.0f} of {self._passes:,.0f} passes"
            self._say(f"{self._number:>4} of {self._maps}   {self._label}, {duration(seconds)}{passes}: {outcome}")
        return seconds
