"""What the commands print and the files they write, where several do the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_FILES = 12  # that are named one by one


def aligned_columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Align the columns of rows of texts."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


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


def kept_files(moved: Sequence[tuple[Path, Path]]) -> Iterator[str]:
    """Say where files of other pictures are now that were moved out of the way."""
    by_folder: dict[Path, list[str]] = {}
    for _, now in moved:
        by_folder.setdefault(now.parent, []).append(now.name)
    lines = [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''} of another picture, now in {folder}"
        for folder, names in by_folder.items()
    ]
    return headed_lines("kept", lines)


def refuse_existing(folder: Path, names: Sequence[str]) -> None:
    """Refuse to write over files.

    Raises:
        FileExistsError: if one of the files is in the folder already.
    """
    existing = [name for name in names if (folder / name).exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise FileExistsError(
            f"{folder / existing[0]}{more} exist{'' if more else 's'} already; --overwrite replaces what is there, "
            "--output-dir takes another folder"
        )


def json_file(content: Any) -> bytes:
    """Return the content of a JSON file."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
