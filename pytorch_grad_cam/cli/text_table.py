"""Lines of text below each other, as commands print them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

_FILES = 12  # that are named one by one


def aligned_columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align the columns of rows of texts."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def headed_lines(head: str, lines: Sequence[str]) -> Iterator[str]:
    """Write lines below each other, the first behind a head."""
    for line in lines:
        yield f"{head + ':' if head else '':12}{line}"
        head = ""


def written_files(paths: Sequence[Path]) -> Iterator[str]:
    """Name the files that were written, or their number and the last one, which shows all the maps."""
    if len(paths) <= _FILES:
        return headed_lines("written", [str(path) for path in paths])
    return headed_lines("written", [f"{len(paths)} files in {paths[0].parent}, the last of them {paths[-1]}"])
