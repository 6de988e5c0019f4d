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
        """Return the share that torchrun, a Slurm array or srun gave to this process; None if it is alone."""
        for number, count, first in (
            ("RANK", "WORLD_SIZE", "0"),
            ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", environment.get("SLURM_ARRAY_TASK_MIN", "0")),
            ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "0"),  # of srun; a batch script alone has one task
        ):
            values = [environment.get(name, "") for name in (number, count)] + [first]
            if all(value.isdecimal() for value in values) and int(values[1]) > 1:
                shard = cls(int(values[0]) - int(first) + 1, int(values[1]))
                if not 1 <= shard.number <= shard.count:
                    raise ValueError(
                        f"{number}={values[0]} with {count}={values[1]} is no share of a run; number the tasks one by "
                        "one, or say it with --shard"
                    )
                return shard
        return None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.number}-of-{self.count}"

    def has(self, batch: int) -> bool:
        """Say whether a batch, counted from 0, belongs to it."""
        return batch % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
