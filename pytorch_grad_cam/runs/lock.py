"""One run at a time in one folder, also when runs are killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if need be, while the block runs.

    The operating system holds the lock and drops it with the process, however that ends.

    Raises:
        RuntimeError: if another run is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        _lock(file)
    except OSError as error:
        os.close(file)
        raise RuntimeError(
            f"another run is writing into {folder}; wait for its end, stop it, or name another --output"
        ) from error
    try:
        yield
    finally:
        with suppress(PermissionError):  # Windows does not remove an open file; the next run finds it without a lock
            path.unlink(missing_ok=True)
        os.close(file)


def _lock(file: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
