"""Where the files of a tar archive lie in it, so that each can be read by itself; nothing is ever unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from pytorch_grad_cam.data.reading import open_regular, reason_of

_BLOCK = tarfile.BLOCKSIZE
_LONGEST_HEADER = 1 << 20  # bytes; more than any name needs
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_WANTED = "a tar archive"


class Member(NamedTuple):
    """A file in an archive: its name, its first byte in the archive, and how many there are."""

    name: str
    offset: int
    size: int


def members_of(path: str | Path) -> Iterator[Member]:
    """Yield the files of an archive in their order; folders, links and devices in it are passed over.

    Raises:
        OSError: if the archive cannot be read.
        ValueError: if it is none, is compressed, damaged or cut; the message says so.
    """
    with _HeaderReader(open_regular(path, _WANTED).detach()) as file:
        _check_plain(file, path)
        try:
            yield from _members(file)
        except OSError as error:
            raise type(error)(f"cannot read {path}: {reason_of(error)}") from error
        except Exception as error:  # a damaged header makes tarfile raise almost anything
            raise ValueError(f"{path} cannot be read as a tar archive: {error}; the file may be damaged") from error


def read_part(path: str | Path, offset: int, size: int) -> bytes:
    """Return bytes of a file, which is opened for it: any number of threads may do so at once.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it has fewer bytes.
    """
    with open_regular(path, _WANTED) as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) != size:
        raise ValueError(f"{path} has become shorter than it was; begin again with the whole file")
    return data


def _check_plain(file: BufferedReader, path: str | Path) -> None:
    start = file.read(8)
    kind = next((name for magic, name in _COMPRESSED.items() if start.startswith(magic)), None)
    if kind is not None:
        raise ValueError(
            f"{path} is compressed ({kind}), and a picture in it could only be reached by reading all before it; "
            "unpack it to a plain .tar first"
        )
    if not start:
        raise ValueError(f"{path} is empty; give {_WANTED}")
    file.seek(0)


def _members(file: BufferedReader) -> Iterator[Member]:
    archive = tarfile.TarFile(fileobj=file, encoding="utf-8")
    last = -1
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # which it would keep
        if member.size < 0 or member.offset_data <= last:
            raise ValueError(f"the file at byte {member.offset} claims to have {member.size} bytes")
        last = member.offset_data
        if member.isreg() and not member.issparse():
            yield Member(member.name, member.offset_data, member.size)
    _check_end(file, archive.offset)


def _check_end(file: BufferedReader, offset: int) -> None:
    """Tell the end of an archive from a place where tarfile gave up: it passes over both in silence."""
    file.seek(offset)
    block = file.read(_BLOCK)
    if len(block) < _BLOCK:
        raise ValueError(f"it is cut: it ends at byte {offset + len(block)} without the mark of the end")
    if any(block):
        raise ValueError(f"there is no header at byte {offset}")
    while piece := file.read(_LONGEST_HEADER):
        if piece.strip(b"\0"):
            raise ValueError("there is more behind its end; join archives with tar --concatenate")


class _HeaderReader(BufferedReader):
    """A file of which only headers are read: one that claims to be gigabytes long is refused."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _LONGEST_HEADER:
            raise ValueError(f"a header in it claims to have {size} bytes")
        return super().read(size)
