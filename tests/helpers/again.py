"""A law is asked once by the default tests; asked again, of more networks or options, it has a run of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def again(*values: Any) -> list[Any]:
    """Return values of one parameter for `pytest -m again`."""
    return [pytest.param(value, marks=pytest.mark.again) for value in values]


def now(values: Iterable[Any], asked: Callable[..., bool]) -> list[Any]:
    """Return rows of parameters, for `pytest -m again` those for which ``asked(*row)`` is false.

    A value that is no tuple is a row of one.
    """
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    chosen = [pytest.param(*row, marks=[] if asked(*row) else [pytest.mark.again]) for row in rows]
    assert 0 < sum(not row.marks for row in chosen) < len(chosen), "all, or none, would be asked by default"
    return chosen
