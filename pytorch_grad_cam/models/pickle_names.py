"""Look into a file that torch.save wrote, without unpickling it, for what its reader would take minutes over."""

from __future__ import annotations

import pickletools
import zlib
from io import BytesIO
from os import SEEK_END
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

from pytorch_grad_cam.models.archives import open_archive, refuse_growth

PICKLED = (b"PK\x03\x04", b"\x80")  # first bytes of what torch.save writes: a zip, or a plain pickle
_LONGEST = 1_000  # characters; torch searches its own message on a longer one in quadratic time
_PICKLES = 5  # that follow one another in a file of before torch 1.6; the last are of its storages


def check_saved(file: IO[bytes], name: str) -> None:
    """Refuse what torch.save never writes, and ``torch.load`` would spend minutes or all memory on.

    Args:
        file: begins with one of `PICKLED`.
        name: what to call it.

    Raises:
        ValueError: if it grows beyond reason, or names a class or function of more than a thousand characters.
        BadZipFile: if it begins as a ZIP file does and is a damaged one, or one that readers read differently.
    """
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if file.read(len(PICKLED[0])).startswith(PICKLED[0]):
        with open_archive(file) as archive:
            refuse_growth(archive, size, name)
            # torch takes DATA.PKL for data.pkl
            members = [member for member in archive.namelist() if member.lower().endswith("data.pkl")]
            endless = any(_names_one(_unpacked(archive, member), 1) for member in members)
    else:
        file.seek(0)
        endless = _names_one(_Bounded(file, size), _PICKLES)
    if endless:
        raise ValueError(f"{name} names an object by more than a thousand characters, which no checkpoint does")


def _unpacked(archive: ZipFile, member: str) -> _Bounded:
    try:
        data = archive.read(member)
    except (zlib.error, EOFError, NotImplementedError, RuntimeError) as error:  # damaged, odd compression, encrypted
        raise BadZipFile(f"{member:.100}: {error}") from error
    return _Bounded(BytesIO(data), len(data))


class _EndlessNameError(Exception):
    """A line of a pickle, which is a name in it, is longer than any name is."""


def pickle_protocol(path: str | Path) -> int | None:
    """Return the protocol of the pickle in a file that torch.save wrote; None if there is none to be seen."""
    try:
        with open_archive(Path(path)) as archive:
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            with archive.open(names[0]) as member:
                head = member.read(2)
    except (BadZipFile, IndexError):
        with open(path, "rb") as file:
            head = file.read(2)
    except (OSError, ValueError, NotImplementedError, RuntimeError, EOFError):  # damaged
        return None
    return head[1] if len(head) == 2 and head[:1] == PICKLED[1] else None


class _Bounded:
    """A file of which no more is asked than it has: memory is taken for what is asked, and that may be anything.

    It ends every line and replaces letters beyond ASCII. ``pickletools`` would stop at what torch's reader takes.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, self._size))

    def readline(self) -> bytes:
        line = self._file.readline(_LONGEST + 1)
        if len(line) > _LONGEST:
            raise _EndlessNameError
        return line.removesuffix(b"\n").decode("ascii", "replace").encode("ascii", "replace") + b"\n"


def _names_one(file: Any, pickles: int) -> bool:
    for _ in range(pickles):
        try:
            for _ in pickletools.genops(file):
                pass
        except _EndlessNameError:
            return True
        except ValueError:  # not a pickle from here on: torch's reader gets no further either
            return False
    return False
