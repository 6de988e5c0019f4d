"""One run at a time in one folder, also when runs are killed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
_ATTEMPTS = 100  # to lock a file that is not exchanged at the same moment
_PAUSE = 0.01  # seconds between two attempts to lock what another one holds


@contextmanager
def folder_lock(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if need be, while the block runs.

    The operating system holds the lock and drops it with the process, however that ends. The file ``.lock``, which is
    empty, stays: were it removed at the end, a run that had opened it before and one that makes it anew would hold
    two locks.

    Args:
        folder: to be locked.
        wait: for so many seconds at most, if another one holds the lock: for locks that are held for a moment only.

    Raises:
        RuntimeError: if another run is at work there.
        OSError: if the file cannot be made or locked.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + wait
        while (file := _locked(path)) is None and time.monotonic() < end:
            time.sleep(_PAUSE)
    except OSError as error:
        raise type(error)(
            f"cannot lock {path}: {(error.strerror or str(error)).lower()}; name another folder"
        ) from error
    if file is None:
        raise RuntimeError(f"another run is writing into {folder}; wait for its end, stop it, or name another folder")
    try:
        yield
    finally:
        os.close(file)


def _locked(path: Path) -> int | None:
    """Open and lock the file that has this name; None if another run holds it."""
    for _ in range(_ATTEMPTS):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _lock(file):
                os.close(file)
                return None
            if _has_name(file, path):
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # someone has removed it meanwhile: the lock on it keeps nobody out
    return None


def _has_name(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(file: int) -> bool:
    """Lock an open file without waiting; False if another one has locked it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # Windows says the latter
        return False
    return True
