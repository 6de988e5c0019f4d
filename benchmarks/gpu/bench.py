"""Parts of the benchmark: each has items that are measured one after the other, as long as its time lasts."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]  # a line of a table: by column a number, a text or None


@dataclass(frozen=True)
class Bench:
    """Where and how much is measured.

    Attributes:
        device: where.
        smoke: tiny networks and few rounds, to see that everything runs.
        wheels: a folder with wheels of the peers, or None.
    """

    device: torch.device
    smoke: bool = False
    wheels: Path | None = None

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def rounds(self) -> int:
        return 1 if self.smoke else 5


@dataclass(frozen=True)
class Item:
    """One thing to measure."""

    label: str
    measure: Callable[[], list[Row]]


@dataclass(frozen=True)
class Part:
    """Measurements of one kind.

    Attributes:
        name: a letter.
        title: what they say.
        budget: seconds, after which nothing new is begun.
        items: what there is to measure, the most important first.
        why_not: says why the part cannot be measured here; None: it can.
        notes: lines below the table.
    """

    name: str
    title: str
    budget: float
    items: Callable[[Bench], Iterator[Item]]
    why_not: Callable[[Bench], str | None] = lambda bench: None
    notes: tuple[str, ...] = ()


@dataclass
class Result:
    """What a part found.

    Attributes:
        title, notes: of the part.
        skipped: why nothing was measured, or None.
        rows: what was.
        left_out: labels of what there was no time for.
        failed: by label what was raised instead.
        seconds: that it took.
    """

    title: str
    notes: list[str] = field(default_factory=list)
    skipped: str | None = None
    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def run_part(part: Part, bench: Bench, tell: Callable[[str], None]) -> Result:
    """Measure a part's items until its time is over. What fails is noted, and what follows is measured."""
    result = Result(part.title, list(part.notes), part.why_not(bench))
    start = time.monotonic()
    for item in () if result.skipped else part.items(bench):
        if time.monotonic() - start > part.budget:
            result.left_out.append(item.label)
            continue
        tell(f"{part.name}: {item.label}")
        try:
            result.rows += item.measure()
        except Exception as error:  # what a device cannot do is a result as well
            result.failed[item.label] = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
            tell(traceback.format_exc())
        if bench.on_gpu:
            torch.cuda.empty_cache()  # what one item keeps for later shall not be missing for the next
    result.seconds = round(time.monotonic() - start, 1)
    return result
