"""The reason that an error of another library gives, in one line."""

from __future__ import annotations


def first_line(error: Exception) -> str:
    """Return the first line of an error's text; its class where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
