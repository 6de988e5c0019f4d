"""An error that nobody else raises, and callables that fail with a given one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


class BrokenError(Exception):
    """What a target, a model or a hook of a test fails with."""


def raising(error: BaseException) -> Callable[..., Tensor]:
    """Return a callable that takes anything and raises ``error``."""

    def fail(*args: Any) -> Tensor:
        raise error

    return fail
