"""What a file was when a run used it, by which one sees later whether it still is that."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from typing import NamedTuple

_DIGITS = 32  # of a digest


class FileState(NamedTuple):
    """Size, time and content of a file."""

    size: int  # bytes
    time: int  # when it was changed, in nanoseconds
    digest: str  # of its content; empty if it could not be read

    @classmethod
    def of(cls, status: os.stat_result, digest: str) -> FileState:
        """Put together what the system says of a file, and the digest of what was read or written."""
        return cls(status.st_size, _changed_at(status), digest)

    def still_holds(self, path: str, read: bool = False) -> bool:
        """Say whether the file is there with the same content; it is read if its time differs, or ``read`` says so."""
        status = regular_file(path)
        if status is None or status.st_size != self.size:
            return False
        return (not read and _changed_at(status) == self.time) or _digest_of_file(path) == self.digest


def regular_file(path: str) -> os.stat_result | None:
    """Return what the system says of a file; None if there is none, or something else than a file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # the latter for names that no file can have
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def digest(data: bytes) -> str:
    """Return what tells one content from another."""
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def _changed_at(status: os.stat_result) -> int:
    # Where there is one, the time that nobody can set: a copy may come with the modification time of its original.
    return status.st_mtime_ns if sys.platform == "win32" else status.st_ctime_ns


def _digest_of_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
    except OSError:
        return ""
