"""What the commands that write files share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


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
