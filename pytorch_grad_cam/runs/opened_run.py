"""A run that is there, read: its rows, its maps, tables of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.runs.run_folder import RunFolder
from pytorch_grad_cam.runs.run_index import Row

# What a row of a table says of a picture.
_OF_PICTURES = (
    "position",
    "id",
    "origin",
    "label",
    "status",
    "error",
    "right",
    "height",
    "width",
    "thumb",
    "record",
    "ms",
)


def open_run(folder: str | Path) -> OpenedRun:
    """Open the folder of a run (``cam run``), finished or not.

    Raises:
        FileNotFoundError: if it is no folder of a run.
        ValueError: if its manifest is damaged.
    """
    return OpenedRun(RunFolder(folder))


class OpenedRun:
    """Reads a run. Rows come in the order of the pictures; each is a dict as in ``index.jsonl``, with ``ms``.

    Args:
        folder: of the run.

    Attributes:
        manifest: everything that decided on the result.
    """

    def __init__(self, folder: RunFolder) -> None:
        manifest = folder.manifest()
        if manifest is None:
            raise FileNotFoundError(f"{folder.path} is no run: it has no manifest.json")
        self.path, self.manifest = folder.path, manifest
        self._index = folder.index()
        if not len(self._index) and folder.shards():
            raise ValueError(f"the shares of {folder.path} are not joined yet: cam run --merge {folder.path}")
        self._times = {row["position"]: row["ms"] for row in folder.times().rows()}

    def __len__(self) -> int:
        """Return how many pictures have a row."""
        return len(self._index)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; one is in memory at a time."""
        return (row | {"ms": self._times.get(row["position"])} for row in self._index.rows())

    def row(self, id: str) -> Row:
        """Return the row of a picture.

        Raises:
            KeyError: if there is none.
        """
        for row in self:
            if row["id"] == id:
                return row
        raise KeyError(f"the run in {self.path} has no picture {id!r}")

    def maps(self, id: str) -> dict[str, NDArray[np.float16]]:
        """Return the values of a picture's maps, of what the network saw: float16 ``(h, w)``, by method and class.

        Raises:
            KeyError: if there is no such picture.
            ValueError: if the run did not keep them (``--save npy``).
        """
        row = self.row(id)
        found = {
            f"{each['method']}: {each['label']}" if each["label"] else each["method"]: np.load(
                self.path / each["files"]["npy"], allow_pickle=False
            )
            for each in row.get("maps", ())
            if "npy" in each.get("files", {})
        }
        if not found:
            raise ValueError(f"the run kept no values of the maps of {id!r}; they are kept with --save npy")
        return found

    def flat_rows(self) -> Iterator[Row]:
        """Yield a row for every map, without anything nested, as tables have it; one for a picture without maps.

        All rows have the same names; what does not hold of one is None.
        """
        for row in self:
            base = {name: row.get(name) for name in _OF_PICTURES}
            top = (row.get("predicted") or [{}])[0]
            base |= {f"predicted_{name}": top.get(name) for name in ("index", "name", "share")}
            for each in row.get("maps") or [{}]:
                kind = each.get("class") or {}
                yield base | {
                    "method": each.get("method"),
                    "class_index": kind.get("index"),
                    "class_name": kind.get("name"),
                    "score": each.get("score"),
                    "share": each.get("share"),
                    "energy": each.get("energy"),
                    "notes": "; ".join(each.get("notes", ())),
                    **{name: each.get("files", {}).get(name) for name in ("overlay", "heatmap", "npy", "boxes")},
                }

    def to_pandas(self) -> Any:
        """Return a ``pandas.DataFrame`` with a row for every map; needs pandas."""
        return need("pandas").DataFrame(list(self.flat_rows()))

    def to_arrow(self) -> Any:
        """Return a ``pyarrow.Table`` with a row for every map; needs pyarrow."""
        return need("pyarrow").Table.from_pylist(list(self.flat_rows()))
