"""Read the ZIP file that a .nnp file is: its members count by their extension."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytorch_grad_cam.models.nnp.limits import FREE_RATIO, MAX_MEMBERS, MAX_RATIO, MAX_TEXT, MAX_WEIGHTS

TEXT = (".nntxt", ".prototxt")
WEIGHTS = (".h5", ".protobuf")  # "x.h5.optimizer" is the state of a solver, not weights
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Contents:
    """The network texts and weight files of a .nnp file, in its order.

    Attributes:
        texts: network texts.
        weights: (member name, bytes) of each weight file.
    """

    texts: tuple[str, ...]
    weights: tuple[tuple[str, bytes], ...]


def read_container(path: str | Path) -> Contents:
    """Read the members of a .nnp file into memory; nothing is unpacked to the disk.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no ZIP file, is damaged, too large, or holds no network text.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"the network file {path} {what}; check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_members(archive, path)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise ValueError(
            f"{path} is not a ZIP file, which a .nnp file is, or is damaged ({error}); export it again"
        ) from error
    except (RuntimeError, UnicodeError, OverflowError) as error:  # odd flags, names and sizes in a damaged directory
        raise ValueError(f"{path} has a damaged list of members ({error}); export it again") from error


def _read_members(archive: zipfile.ZipFile, path: Path) -> Contents:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{path} has {len(members)} members; a .nnp file has a handful, {MAX_MEMBERS} at most")
    texts: list[str] = []
    weights: list[tuple[str, bytes]] = []
    left = {TEXT: MAX_TEXT, WEIGHTS: MAX_WEIGHTS}
    for member in members:
        suffix = PurePosixPath(member.filename).suffix.lower()
        kind = next((kind for kind in left if suffix in kind), None)
        if kind is None:
            continue
        data = _read_member(archive, member, left[kind], path)
        left[kind] -= len(data)
        if kind is WEIGHTS:
            weights.append((member.filename, data))
            continue
        try:
            texts.append(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: {member.filename} is not text in UTF-8; export the network again") from error
    if not texts:
        raise ValueError(f"{path} holds no network text (.nntxt or .prototxt); export it from the Console again")
    return Contents(tuple(texts), tuple(weights))


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int, path: Path) -> bytes:
    name = f"{path}: {member.filename}"
    if member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{name} is encrypted; export it without a password")
    if member.compress_type not in _METHODS:
        raise ValueError(f"{name} is compressed by method {member.compress_type}; only stored and deflated are read")
    with archive.open(member) as file:
        limit = min(limit, max(FREE_RATIO, MAX_RATIO * member.compress_size))
        if member.file_size > limit:
            raise ValueError(f"{name} would grow to {member.file_size} bytes; at most {limit} are believed")
        data = file.read(limit + 1)  # the size in the directory may lie
    if len(data) > limit:
        raise ValueError(f"{name} grows beyond {limit} bytes, more than its directory says; it is not read")
    return data
