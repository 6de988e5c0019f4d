"""Check the archive that a .pt2 file is, before torch reads it: what is in it, its sizes, and its texts."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from io import BytesIO
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from pytorch_grad_cam.models.archives import open_archive, refuse_growth
from pytorch_grad_cam.models.exported_text import refuse_code
from pytorch_grad_cam.models.pickle_names import PICKLED, check_saved

# Parts of an archive, below its own folder: compiled code, and constants, which are tensors or pickled objects.
_COMPILED = ("data/aotinductor/", "data/executorch/")
_CONSTANTS, _PLAIN_CONSTANT = "data/constants/", "tensor_"
_MODELS, _WEIGHTS = "models/", "data/weights/"
_EXTRA = ("extra/", "extra_files/")  # texts of the author's own, which torch hands on and does not read
_FREE = 64 << 20  # numbers of tensors below which sizes do not matter
_GROWTH = 20  # numbers that tensors claim to bytes of the file
_MAX_JSON = 256 << 20  # bytes of the descriptions; those of a dynamic Swin transformer take 3 MB

Member = tuple[str, bytes]  # the name below the archive's own folder, and the content


def check_archive(path: Path, trust_pickle: bool) -> None:
    """Refuse what is no exported program, what grows beyond reason, and what would run code while it is read.

    Args:
        path: the file.
        trust_pickle: leave out everything that is about code.

    Raises:
        ValueError: says which of these it is.
    """
    try:
        with open_archive(path) as archive:
            _check_sizes(archive, path)
            names = {name: "/".join(PurePosixPath(name).parts[1:]) for name in archive.namelist()}
            _check_kind(path, names)
            members = [(part or name, archive.read(name)) for name, part in names.items() if _is_read(part or name)]
            for name in names:
                _check_saved(archive, name, path)
        programs = [(name, _json(data)) for name, data in members]
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(
            f"{path} is no exported program, or is damaged ({error}); torch.export.save writes one"
        ) from error
    _check_tensors(path, programs)
    if not trust_pickle:
        _refuse_differences(path, set(members))
        _refuse_objects(path, programs)
        for name, content in programs:
            refuse_code(content, f"{path} ({name})")


def _is_read(name: str) -> bool:
    """Say whether torch parses a member, whatever it is called: everything among the models, and descriptions."""
    return not name.startswith(_EXTRA) and (name.startswith(_MODELS) or name.endswith(".json"))


def needs_trust(path: Path, what: str) -> str:
    """Return the sentence that a file holds what only unpickling gives; ``what`` names it."""
    return (
        f"{path} holds objects beside tensors ({what}), and reading those can run any code; export the network without "
        "them or, if you trust its author, allow it with --trust-pickle (trust_pickle=True)"
    )


def _json(data: bytes) -> Any:
    """Parse a description as torch does, so that both read the same."""
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise zipfile.BadZipFile(f"a description in it cannot be read: {error}") from error


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    refuse_growth(archive, path.stat().st_size, str(path))
    if sum(member.file_size for member in archive.infolist() if member.filename.endswith(".json")) > _MAX_JSON:
        raise ValueError(f"{path} describes its program in more than {_MAX_JSON} bytes, which is not read")


def _check_saved(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Check a member that torch.save may have written; those are files of their own."""
    with archive.open(name) as file:
        if name.endswith(".json") or not file.read(4).startswith(PICKLED):
            return
    check_saved(BytesIO(archive.read(name)), f"{path} ({name:.100})")


def _check_kind(path: Path, names: Mapping[str, str]) -> None:
    inside = names.values()
    if any(part.startswith(_COMPILED) for part in inside):
        raise ValueError(f"{path} holds compiled code, which has no layers; give what torch.export.save wrote")
    if not any(part.startswith(_MODELS) for part in inside) and "serialized_exported_program.json" not in names:
        raise ValueError(
            f"{path} holds no exported program; torch.export.save(torch.export.export(...), path) writes one"
        )


def _check_tensors(path: Path, programs: Sequence[tuple[str, Any]]) -> None:
    """Refuse tensors that need no bytes in the file, but memory here: empty records, and one number a million times."""
    claimed = sum(map(_numbers, chain(_entries(programs, _CONSTANTS), _entries(programs, _WEIGHTS))))
    stored = path.stat().st_size
    if claimed > max(_FREE, _GROWTH * stored):
        raise ValueError(f"{path} claims {claimed} numbers in {stored} bytes, which are not believed; export it again")


def _numbers(entry: Mapping[str, Any]) -> int:
    meta = entry.get("tensor_meta")
    sizes = meta.get("sizes") if isinstance(meta, Mapping) else None
    values = [size.get("as_int") for size in sizes if isinstance(size, Mapping)] if isinstance(sizes, list) else []
    return math.prod(abs(value) for value in values if isinstance(value, int))


def _refuse_objects(path: Path, programs: Sequence[tuple[str, Any]]) -> None:
    for constant in _entries(programs, _CONSTANTS):
        if not str(constant.get("path_name", "")).startswith(_PLAIN_CONSTANT):
            raise ValueError(needs_trust(path, str(constant.get("path_name"))))


def _entries(programs: Sequence[tuple[str, Any]], folder: str) -> Iterator[Mapping[str, Any]]:
    """Yield the description of every tensor that the members of a folder list."""
    for name, content in programs:
        listed = content.get("config") if name.startswith(folder) and isinstance(content, Mapping) else None
        if isinstance(listed, Mapping):
            yield from (entry for entry in listed.values() if isinstance(entry, Mapping))


def _refuse_differences(path: Path, checked: Set[Member]) -> None:
    """Refuse an archive in which torch's own reader finds other descriptions than those that are checked here."""
    try:
        reader = torch._C.PyTorchFileReader(str(path))
        names = reader.get_all_records()
        found = {(name, reader.get_record(name)) for name in names if _is_read(name)}
    except RuntimeError:  # no archive to it: then torch reads with zipfile, as it is read here
        return
    if not found <= checked or any(name.startswith(_COMPILED) for name in names):
        raise ValueError(f"{path} shows one program to some readers and another to others; it is not read")
