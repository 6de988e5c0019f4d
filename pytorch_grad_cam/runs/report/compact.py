"""Rows of a run in few bytes: what repeats is listed once, and a row holds its place in the list."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import PurePosixPath
from typing import Any

from pytorch_grad_cam.runs.run_index import Row

# What a compact row holds, in this order; `assets/rows.js` reads it.
#   id, name of the files (null: the id), origin, label, right (1, 0, -1: not judged), status, ms, height, width,
#   what the network sees [class, share, ...], maps, own files, error
# and a map: what it explains, files, score, share, energy, notes. Places in lists are -1 where there is nothing.


class Compact:
    """Makes rows compact, and keeps the lists that they point into."""

    def __init__(self) -> None:
        self._lists: dict[str, dict[Hashable, int]] = {
            name: {} for name in ("origins", "labels", "statuses", "classes", "kinds", "files", "notes")
        }
        self.are_shares = True  # whether every number of a class can be a share

    def lists(self) -> dict[str, Any]:
        """Return the lists, as JSON can write them."""
        return {name: list(places) for name, places in self._lists.items()} | {"shares": self.are_shares}

    def row(self, row: Row) -> list[Any]:
        """Return a row of the index in the form above."""
        id, stem = str(row["id"]), _stem(row)
        seen: list[Any] = []
        for each in row.get("predicted", ()):
            seen += [self._class(each), each["share"]]
            self.are_shares = self.are_shares and (each["share"] is None or 0 <= each["share"] <= 1)
        right = row.get("right")
        return [
            id,
            None if stem == id else stem,
            self._place("origins", _around(str(row.get("origin", "")), id)),
            -1 if row.get("label") is None else self._place("labels", str(row["label"])),
            -1 if right is None else int(right),
            self._place("statuses", row["status"]),
            row.get("ms"),
            row.get("height"),
            row.get("width"),
            seen,
            [self._map(each, stem) for each in row.get("maps", ())],
            self._files({name: row[name] for name in ("thumb", "record") if row.get(name)}, stem),
            row.get("error"),
        ]

    def _map(self, each: Mapping[str, Any], stem: str) -> list[Any]:
        kind = (each["method"], self._class(each["class"]), each["label"], "  ".join(each["layers"]))
        notes = [self._place("notes", note) for note in each["notes"]]
        files = self._files(each.get("files", {}), stem)
        return [self._place("kinds", kind), files, each["score"], each["share"], each["energy"], notes]

    def _class(self, record: Mapping[str, Any] | None) -> int:
        if record is None:
            return -1
        return self._place("classes", (record["index"], None if record["name"] is None else str(record["name"])))

    def _files(self, files: Mapping[str, str], stem: str) -> int:
        listed = tuple((kind, *_around(path, stem)) for kind, path in files.items())
        return self._place("files", listed) if listed else -1

    def _place(self, name: str, value: Hashable) -> int:
        places = self._lists[name]
        return places.setdefault(value, len(places))


def _stem(row: Row) -> str:
    """Return what the names of a picture's files have in common."""
    thumb = row.get("thumb")
    return str(PurePosixPath(*PurePosixPath(thumb).parts[1:]).with_suffix("")) if thumb else str(row["id"])


def _around(text: str, part: str) -> tuple[str, str | None]:
    """Return what stands before a part of a text and behind it; the text and None if it is not in there."""
    before, found, behind = text.rpartition(part) if part else (text, "", "")
    return (before, behind) if found else (text, None)
