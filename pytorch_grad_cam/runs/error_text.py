"""Errors in one line, for people: on the screen and in the journal of a run."""

from __future__ import annotations

# What the package raises on purpose, with a message for people. Anything else is named by its kind.
_EXPECTED = (ValueError, TypeError, IndexError, OSError, ImportError, RuntimeError)


def in_one_line(error: Exception) -> str:
    """Return the message of an error without line breaks; an error that nobody foresaw is named by its kind."""
    text = " ".join(str(error).split())
    if isinstance(error, _EXPECTED) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"
