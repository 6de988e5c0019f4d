"""Look into a file that torch.save wrote, without unpickling it, for names that its reader would take minutes over."""

from __future__ import annotations

import pickletools
import zipfile
from os import SEEK_END
from pathlib import Path
from typing import IO, Any

PICKLED = (b"PK\x03\x04", b"\x80")  # first bytes of what torch.save writes: a zip, or a plain pickle
_LONGEST = 1_000  # characters; torch searches its own message on a longer one in quadratic time
_PICKLES = 5  # that follow one another in a file of before torch 1.6; the last are of its storages


def has_endless_name(file: IO[bytes]) -> bool:
    """Say whether a pickle in the file names a class or function of more than a thousand characters."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = [name for name in archive.namelist() if name.endswith("data.pkl")]
            for name in members:
                with archive.open(name) as member:
                    if _names_one(member, 1):
                        return True
            return False
    except zipfile.BadZipFile:
        file.seek(0)
        return _names_one(_Bounded(file), _PICKLES)
    except (OSError, ValueError, NotImplementedError, RuntimeError, EOFError):  # left to torch, which says more
        return False


def pickle_protocol(path: str | Path) -> int | None:
    """Return the protocol of the pickle in a file that torch.save wrote; None if there is none to be seen."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            with archive.open(names[0]) as member:
                head = member.read(2)
    except (zipfile.BadZipFile, IndexError):
        with open(path, "rb") as file:
            head = file.read(2)
    except (OSError, ValueError, NotImplementedError, RuntimeError, EOFError):  # damaged
        return None
    return head[1] if len(head) == 2 and head[:1] == PICKLED[1] else None


class _Bounded:
    """A file of which no more is asked than it has: memory is taken for what is asked, and that may be anything."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._size = file, file.seek(0, SEEK_END)
        file.seek(0)
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, self._size))


def _names_one(file: Any, pickles: int) -> bool:
    for _ in range(pickles):
        try:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL" and len(str(argument)) > _LONGEST:
                    return True
        except ValueError:  # not a pickle from here on: torch's reader gets no further either
            return False
    return False
