"""ZIP files from strangers, opened in one way for all who read them: what is checked is what is read."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from os import SEEK_END
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

_FREE, _GROWTH = 64 << 20, 20  # bytes that a file may grow to when it is unpacked, and times its size
# The last record of a ZIP file and, before it where the file is large or torch wrote it, one that leads to a longer
# one; of each its first bytes, its length, and where in it the number of members and the place of their list stand.
_END, _LOCATOR, _LONG_END = struct.Struct("<10xH4xI2x"), struct.Struct("<4s4xQ4x"), struct.Struct("<4s28xQ8xQ")


@contextmanager
def open_archive(file: Path | IO[bytes]) -> Iterator[ZipFile]:
    """Open a ZIP file in which all readers find the same members.

    Python's reader and torch's differ in which of two members they take under one name (torch's overlooks whether
    letters are large or small), and in where they look for the list of members.

    Raises:
        BadZipFile: if it is none, is damaged, or readers could differ.
        OSError: if it cannot be read.
    """
    try:
        archive = ZipFile(file)
    except (ValueError, OverflowError, NotImplementedError, struct.error) as error:  # odd names, places, versions
        raise BadZipFile(f"{error}") from error
    with archive:
        names = [member.filename.lower() for member in archive.infolist()]
        double = next((name for name, count in Counter(names).items() if count > 1), None)
        if double is not None:
            raise BadZipFile(f"two of its members have the same name, {double!r:.100}")
        assert archive.fp is not None
        if _list_of_members(archive.fp, len(archive.comment)) != (len(names), archive.start_dir):
            raise BadZipFile("it has more than one list of members")
        yield archive


def refuse_growth(archive: ZipFile, size: int, name: str) -> None:
    """Refuse what torch is to read, and is packed beyond reason; torch itself packs nothing.

    Args:
        archive: the file.
        size: its bytes.
        name: what to call it.

    Raises:
        ValueError: says from what to what it would grow.
    """
    total = sum(member.file_size for member in archive.infolist())
    if total > max(_FREE, _GROWTH * size):
        raise ValueError(f"{name} would grow from {size} to {total} bytes; torch packs nothing")


def _list_of_members(file: IO[bytes], comment: int) -> tuple[int, int]:
    """Return how many members the last record counts, and where it says that their list begins."""
    end = file.seek(0, SEEK_END) - comment - _END.size
    count, start = _END.unpack(_at(file, end, _END.size))
    if end >= _LOCATOR.size:
        mark, place = _LOCATOR.unpack(_at(file, end - _LOCATOR.size, _LOCATOR.size))
        if mark == b"PK\6\7":
            mark, count, start = _LONG_END.unpack(_at(file, place, _LONG_END.size))
            if mark != b"PK\6\6":
                raise BadZipFile("it has no list of members where it says so")
    return count, start


def _at(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(place)
    data = file.read(count)
    if len(data) < count:
        raise BadZipFile("it ends too early")
    return data
