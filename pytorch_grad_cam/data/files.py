"""Write files that are whole or not there: the one place where anything of ours is written."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
    pieces = _Pieces((data,) if isinstance(data, bytes) else data)
    try:
        target = _regular(os.fspath(path))
        folder, name = os.path.split(target)
        part = os.path.join(folder, f".{name}.part" if sole_writer else f".{secrets.token_hex(8)}.part")
        try:
            with _opened(part) as file:
                for piece in pieces:
                    _write_all(file.fileno(), piece)
                if durable:
                    os.fsync(file.fileno())
            os.replace(part, target)  # only now: a disk far away may say when it closes a file that it has no room
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
        if durable:
            _sync_folder(folder)
    except OSError as error:
        if pieces.failed:
            raise
        raise _in_words(error, path) from error


def move_file(source: str | Path, target: str | Path) -> None:
    """Give a file another name on the same disk, in a folder that is made if need be; what is there is replaced.

    Raises:
        OSError: if that cannot be done; then the file stays where it was.
    """
    try:
        os.makedirs(os.path.dirname(target) or os.curdir, exist_ok=True)
        os.replace(source, target)
    except OSError as error:
        raise _in_words(error, target) from error


def write_by(path: str | Path, encode: Callable[[str], None]) -> None:
    """Write a file with a tool that only writes to a path: it gets another name first, as in `write_bytes`.

    Args:
        path: the file; a missing folder is made; a link is followed.
        encode: writes to the path that it is given, which has the same ending.

    Raises:
        OSError: if the folder cannot be made or written to, or has no room; the message says so.
        Exception: what ``encode`` raised.
    """
    try:
        target = _regular(os.fspath(path))
        folder, name = os.path.split(target)
        part = os.path.join(folder, f".{secrets.token_hex(8)}.part{os.path.splitext(name)[1]}")
        _opened(part).close()  # says at once what is wrong with the folder
    except OSError as error:
        raise _in_words(error, path) from error
    try:
        encode(part)
        if not os.path.getsize(part):
            raise OSError(errno.EIO, "nothing was written")
        os.replace(part, target)
    finally:
        with suppress(OSError):
            os.unlink(part)


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
    try:
        with open(path, "r+b", buffering=0) as file:
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
    except OSError as error:
        raise _in_words(error, path) from error


def make_durable(folder: str | Path, paths: Iterable[str]) -> None:
    """Return when the disk has files that were written before, and their names.

    Args:
        folder: that holds them, also deeper.
        paths: the files, which are looked at where the system cannot be asked for all that lies on a disk at once.

    Raises:
        OSError: if the disk did not take them, or one is not there.
    """
    try:
        if not _sync_disk(folder):
            folders = {os.fspath(folder)}
            for path in paths:
                with open(path, "r+b", buffering=0) as file:
                    os.fsync(file.fileno())
                folders.add(os.path.dirname(path))
            for each in folders:
                _sync_folder(each)
    except OSError as error:
        raise _in_words(error, folder) from error


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
        raise IsADirectoryError("it is a folder")
    if not stat.S_ISREG(mode):
        raise OSError("it is no file, but a device or the like")
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


def _in_words(error: OSError, path: str | Path) -> OSError:
    advice = "make room there, or choose another folder" if error.errno in _NO_ROOM else "choose another folder"
    return type(error)(f"cannot write {path}: {(error.strerror or str(error)).lower()}; {advice}")


def _sync_folder(folder: str) -> None:
    """Have the disk take the names in a folder; Windows does so by itself, and opens no folder."""
    if sys.platform == "win32":
        return
    opened = os.open(folder or os.curdir, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _sync_disk(folder: str | Path) -> bool:
    """Have the disk of a folder take all that was written to it; False where there is no such call."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    opened = os.open(folder, os.O_RDONLY)
    try:
        if call(opened):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(opened)
    return True


class _Pieces:
    """Parts of a content, and whether whoever makes them has raised an error: it is no error of the file's."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except OSError:
            self.failed = True
            raise
