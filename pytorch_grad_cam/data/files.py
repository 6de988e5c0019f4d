"""Write files that are whole or not there: the one place where anything of ours is written."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Files that are synchronised at once: the system puts what is asked for together into one turn of the disk.
_AT_ONCE = 8


def write_bytes(
    path: str | Path, data: bytes | Iterable[bytes], *, durable: bool = False, sole_writer: bool = False
) -> None:
    """Write a file under another name in the same folder, then give it its own: nobody meets half a file.

    Whatever goes wrong, Ctrl-C included, the file that was there before stays, and nothing else is left behind.

    Args:
        path: the file; a missing folder is made; a link is followed.
        data: its content, or parts of it, which are written as they come.
        durable: return when the disk has it, so that it is there after a power cut too.
        sole_writer: nobody else writes this file meanwhile, as a lock ensures. The other name is then always the
            same, ``.NAME.part``, and what a kill left behind there is written over.

    Raises:
        OSError: if the folder cannot be made or written to, or has no room; the message says so.
        Exception: what ``data`` raised.
    """
    target = _regular(os.fspath(path))
    folder, name = os.path.split(target)
    part = os.path.join(folder, f".{name}.part" if sole_writer else f".{secrets.token_hex(8)}.part")
    try:
        with _says_where(path):
            file = _opened(part)
        with file:
            for piece in (data,) if isinstance(data, bytes) else data:
                with _says_where(path):
                    _write_all(file.fileno(), piece)
            with _says_where(path):
                if durable:
                    os.fsync(file.fileno())
                file.close()  # a disk far away may say only here that it has no room
                os.replace(part, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
    if durable:
        with _says_where(path):
            _sync_folders({folder})


def append_bytes(path: str | Path, data: bytes, keep: int) -> None:
    """Write behind the first bytes of a file, and return when the disk has it; all else behind them is cut off.

    Args:
        path: the file, which must be there.
        data: what to write.
        keep: the number of bytes in front of it.

    Raises:
        OSError: if the file is not there, is shorter than that, or cannot be written to; then the first bytes stay,
            and nothing behind them.
    """
    with _says_where(path), open(path, "r+b", buffering=0) as file:
        if os.fstat(file.fileno()).st_size < keep:
            raise OSError("it is shorter than what was written there, so something else has changed it")
        file.truncate(keep)
        file.seek(keep)
        try:
            _write_all(file.fileno(), data)
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                file.truncate(keep)
            raise


def make_durable(paths: Sequence[str | Path]) -> list[os.stat_result]:
    """Return when the disk has files, with their names and folders; and what the system says of each file.

    Raises:
        OSError: if one of them is not there, or the disk did not take it.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        shares = list(pool.map(_synced, (paths[start::_AT_ONCE] for start in range(_AT_ONCE))))
    folders = {os.path.dirname(path) for path in paths}
    _sync_folders(folders | {os.path.dirname(folder) for folder in folders})
    return [shares[number % _AT_ONCE][number // _AT_ONCE] for number in range(len(paths))]


def check_writable(folder: str | Path) -> None:
    """Raise at once, before any work, what writing into a folder would raise. The folder may be missing; it stays so.

    Raises:
        OSError: if a file is in the way, or the permission is missing.
    """
    nearest = Path(folder).absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(f"cannot write to {folder}: {nearest} is not a folder; choose another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write to {folder}: no permission in {nearest}; choose another folder")


def _regular(path: str) -> str:
    """Return the file to replace: that behind a link. What is there and no file, such as a device, is kept."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            path = os.path.realpath(path)
            mode = os.lstat(path).st_mode
    except OSError:  # mostly, there is nothing yet; else opening says what is wrong
        return path
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"cannot write {path}: it is a folder; choose another name")
    if not stat.S_ISREG(mode):
        raise OSError(f"cannot write {path}: it is no file, but a device or the like; choose another name")
    return path


def _opened(part: str) -> FileIO:
    """Open a new file without a buffer, in a folder that is made if need be; never what a link there names."""
    try:
        return open(part, "xb", buffering=0)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(part), exist_ok=True)
    except FileExistsError:  # what a kill left behind
        os.unlink(part)
    return open(part, "xb", buffering=0)


def _write_all(file: int, data: bytes) -> None:
    """Write every byte: the system may take a part of them, as it does when a disk becomes full, and say so only."""
    rest = memoryview(data)
    while rest:
        count = os.write(file, rest)
        if count <= 0:
            raise OSError(errno.EIO, "the system takes no more bytes")
        rest = rest[count:]


@contextmanager
def _says_where(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "make room there, or choose another folder" if error.errno in _NO_ROOM else "choose another folder"
        raise type(error)(f"cannot write {path}: {(error.strerror or str(error)).lower()}; {advice}") from error


def _synced(paths: Sequence[str | Path]) -> list[os.stat_result]:
    found = []
    for path in paths:
        with _says_where(path), open(path, "r+b", buffering=0) as file:
            os.fsync(file.fileno())
            found.append(os.fstat(file.fileno()))
    return found


def _sync_folders(folders: Iterable[str]) -> None:
    """Have the disk take the names in folders; Windows does so by itself, and opens no folder."""
    if sys.platform == "win32":
        return
    for folder in folders:
        opened = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
