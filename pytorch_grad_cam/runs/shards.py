"""Shares of a run for several processes or machines, which know nothing of one another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """One share of ``count``; shares are counted from 1. Every ``count``-th batch belongs to it.

    Attributes:
        number: which one, from 1.
        count: how many there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read what is typed: ``3/16``.

        Raises:
            ValueError: for anything else.
        """
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise ValueError(f"{text!r} is no share; give its number, from 1, and how many there are, such as 3/16")
        return cls(int(number), int(count))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Shard | None:
        """Return the share that torchrun, a Slurm array or srun gave to this process; None if it is alone.

        Where every task of an array starts several processes, each of them has a share of the array's.

        Raises:
            ValueError: for tasks of an array that are not numbered in even steps.
        """
        step = environment.get("SLURM_ARRAY_TASK_STEP", "1")
        first = environment.get("SLURM_ARRAY_TASK_MIN", "0")
        array = _place(environment, "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", first, step)
        process = _place(environment, "RANK", "WORLD_SIZE")  # of torchrun, which srun may have started
        process = process or _place(environment, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
        (outer, tasks), (inner, processes) = array or (0, 1), process or (0, 1)
        return None if tasks * processes == 1 else cls(outer * processes + inner + 1, tasks * processes)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.number}-of-{self.count}"

    def has(self, batch: int) -> bool:
        """Say whether a batch, counted from 0, belongs to it."""
        return batch % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def local_rank(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return which of the processes that torchrun or srun started on this machine this one is, from 0."""
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        if environment.get(name, "").isdecimal():
            return int(environment[name])
    return None


def _place(
    environment: Mapping[str, str], number: str, count: str, first: str = "0", step: str = "1"
) -> tuple[int, int] | None:
    """Return the place of a process, from 0, and how many there are; None if the variables are not set."""
    texts = (environment.get(number, ""), environment.get(count, ""), first, step)
    if not all(text.isdecimal() for text in texts):
        return None
    number_value, count_value, first_value, step_value = map(int, texts)
    place, rest = divmod(number_value - first_value, max(step_value, 1))
    if rest or not 0 <= place < count_value:
        raise ValueError(
            f"{number}={number_value} with {count}={count_value} is no share of a run; number the tasks one by one, or "
            "say it with --shard"
        )
    return place, count_value
