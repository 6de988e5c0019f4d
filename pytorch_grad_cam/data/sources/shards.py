"""Pictures in tar archives, in the layout of webdataset: files of one sample share their name up to its first dot."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.folders import braces_expanded, matching_files
from pytorch_grad_cam.data.images import decode_image
from pytorch_grad_cam.data.samples import ENDINGS, is_pattern
from pytorch_grad_cam.data.sources.ids import check_unique, readable
from pytorch_grad_cam.data.sources.tar_index import Member, members_of, read_part

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")  # which are refused in words
_PARTS = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]*)", re.DOTALL)  # a sample's name, and what its file is
_FIRST = ("jpg", "jpeg")  # beside a picture in another format, which then mostly is its mask
_LONGEST_LABEL = 1 << 20  # bytes of a file that says what a picture shows
# Bytes for each pixel that are read, four channels of 32 bits, and more for whatever else stands in a picture's file.
_PIXEL, _REST = 16, 1 << 26


@dataclass(frozen=True, slots=True)
class ShardItem:
    """A picture inside a tar archive; see `sources.item.Item`.

    Attributes:
        path: the archive, from the root on.
        offset: of the picture's first byte in it.
        size: number of its bytes.
    """

    id: str
    path: str
    origin: str
    offset: int
    size: int
    label: str | int | None = None

    @property
    def target(self) -> None:
        """Nothing that the archive says."""
        return None

    def read(self, max_pixels: int) -> NDArray[np.uint8]:
        """Return the picture, uint8 RGB ``(H, W, 3)``."""
        if self.size > _PIXEL * max_pixels + _REST:
            raise ValueError(f"{self.origin} has {self.size} bytes, too many for a picture of {max_pixels} pixels")
        return decode_image(read_part(self.path, self.offset, self.size), self.origin, max_pixels)


class _Found(NamedTuple):
    """A sample: its id, the number of its archive, the picture in it, and the label."""

    id: str
    shard: int
    picture: Member
    label: str | int | None


class ShardsSource:
    """The pictures of tar archives, in their order.

    A sample is the files of an archive that have the same name up to the first dot behind the folder; the rest of the
    name says what each file is, as in webdataset. Its picture is the file with a picture's ending; that which has
    nothing else there (``.jpg``, not ``.seg.png``) and JPEG before other formats. Its label is the number or the name
    in ``.cls``, else ``label`` in ``.json``, if that is a text or a whole number. Its id is the name, so it does not
    depend on how samples are packed.

    Args:
        texts: paths of archives, with ``{000..003}``, ``{train,val}`` and the wildcards of patterns.

    Raises:
        OSError: if an archive cannot be read.
        ValueError: if there is none, one is damaged, cut or compressed, holds no picture, or two samples have one name.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)
        shown = {os.path.abspath(path): path for text in texts for path in _archives(text)}
        self._paths, self._shown = list(shown), list(shown.values())
        self._found = [found for number in range(len(self._paths)) for found in self._samples(number)]
        if not self._found:
            raise ValueError(
                f"{', '.join(texts)}: no picture is in it; none of its files ends in {', '.join(sorted(ENDINGS))}"
            )
        check_unique(
            (each.id for each in self._found),
            lambda index: self._origin(self._found[index]),
            "give these archives one at a time",
        )

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"tar shards: {', '.join(self._texts)} ({len(self._paths)})"

    def __iter__(self) -> Iterator[ShardItem]:
        """Yield the pictures, always in the same order."""
        for each in self._found:
            picture = each.picture
            yield ShardItem(
                each.id, self._paths[each.shard], self._origin(each), picture.offset, picture.size, each.label
            )

    def __len__(self) -> int:
        return len(self._found)

    def _origin(self, found: _Found) -> str:
        return _origin(self._shown[found.shard], found.picture)

    def _samples(self, number: int) -> Iterator[_Found]:
        path = self._shown[number]
        samples: dict[str, dict[str, Member]] = {}
        for member in members_of(path):
            match = _PARTS.fullmatch(member.name)
            if match is None:
                continue
            by_kind = samples.setdefault(match[1], {})
            if by_kind.setdefault(match[2].lower(), member) is not member:
                raise ValueError(f"{_origin(path, member)} is there twice; a sample has one file of a kind")
        for key, by_kind in samples.items():
            picture = _picture(by_kind, path)
            if picture is not None:
                yield _Found(readable(key.removeprefix("./")), number, picture, _label(by_kind, path))


def _archives(text: str) -> Iterator[str]:
    """Yield the paths of the archives that a text stands for."""
    for path in [text] if os.path.exists(text) else braces_expanded(text):
        if "://" in path or path.startswith("pipe:"):
            raise ValueError(f"{path} is an address; download the archives and give their files")
        if not is_pattern(path):
            yield path
            continue
        matching = matching_files(path)
        if not matching:
            raise ValueError(f"no file matches {path}; check the pattern")
        yield from matching


def _origin(path: str, member: Member) -> str:
    return f"{readable(path)}: {readable(member.name)}"


def _picture(by_kind: Mapping[str, Member], path: str) -> Member | None:
    """Return the one picture of a sample; None if it has none."""
    ranked = [(_rank(kind), member) for kind, member in by_kind.items() if _ending(kind) in ENDINGS]
    first = min((rank for rank, _ in ranked), default=None)
    best = [member for rank, member in ranked if rank == first]
    if len(best) > 1:
        names = " and ".join(readable(member.name) for member in best)
        raise ValueError(f"{readable(path)}: {names} belong to one sample, and any could be its picture; keep one")
    return best[0] if best else None


def _ending(kind: str) -> str:
    return f".{kind.rpartition('.')[2]}"


def _rank(kind: str) -> tuple[bool, bool]:
    """Return what sorts first for the file that most likely is the picture itself."""
    return "." in kind, kind not in _FIRST


def _label(by_kind: Mapping[str, Member], path: str) -> str | int | None:
    """Return the number or the name in .cls, else that called label in .json."""
    if "cls" in by_kind:
        text = _text(by_kind["cls"], path).strip()
        return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else readable(text) or None
    if "json" not in by_kind:
        return None
    origin = _origin(path, by_kind["json"])
    try:
        known = json.loads(_text(by_kind["json"], path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{origin} is not JSON: {error}") from error
    label = known.get("label") if isinstance(known, dict) else None
    if isinstance(label, str):
        return readable(label) or None
    return label if isinstance(label, int) and not isinstance(label, bool) else None


def _text(member: Member, path: str) -> str:
    origin = _origin(path, member)
    if member.size > _LONGEST_LABEL:
        raise ValueError(f"{origin} has {member.size} bytes, too many for a label")
    try:
        return read_part(path, member.offset, member.size).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{origin} is not text in UTF-8") from error
