"""Writing the report of a run: beside its pictures, or as one file that holds them."""

from __future__ import annotations

import base64
import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.runs.file_state import digest
from pytorch_grad_cam.runs.lock import folder_lock
from pytorch_grad_cam.runs.report.compact import Compact
from pytorch_grad_cam.runs.report.page import chunk_script, report_page, unfinished
from pytorch_grad_cam.runs.run_folder import PAGE, REPORT, RunFolder
from pytorch_grad_cam.runs.run_index import Row, RunIndex

SINGLE, DATA = "single_file.html", "data"
MOST_IN_ONE_FILE = 300  # pictures
_FULL_SIZE = 8 * 2**20  # bytes of overlays that one file to mail takes; more are left out
_CHUNK = 2000  # rows of a file of data
_MADE_HERE = re.compile(r"[0-9a-f]{32}\.js|\..+\.part")
_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}


@dataclass(frozen=True)
class WrittenReport:
    """What was written.

    Attributes:
        path: the page.
        rows: how many pictures it has, those that failed among them.
        remarks: what people should know about it, a sentence each.
    """

    path: Path
    rows: int
    remarks: tuple[str, ...]


def write_report(folder: RunFolder) -> WrittenReport:
    """Write ``report/index.html`` into a run's folder, and the data of the page beside it; a former report goes.

    The page names its data by their content and is written last: a report is always whole, and of one moment.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if its manifest is damaged.
        RuntimeError: if another process writes the report just now.
        OSError: if it cannot be written.
    """
    manifest, compact, count = _manifest(folder), Compact(), 0
    chunks: list[str] = []
    place = folder.path / REPORT
    with folder_lock(place):
        rows = _rows(folder)
        while some := [compact.row(row) for row in islice(rows, _CHUNK)]:
            content = chunk_script(len(chunks), some).encode(errors="backslashreplace")
            chunks.append(f"{DATA}/{digest(content)}.js")
            write_bytes(place / chunks[-1], content, sole_writer=True)
            count += len(some)
        text = report_page(manifest, compact.lists(), count, chunks=chunks)
        write_bytes(place / PAGE, text.encode(errors="backslashreplace"), sole_writer=True)
        _delete_others(place, chunks)
    return WrittenReport(place / PAGE, count, _remarks(manifest, count))


def write_single_file(folder: RunFolder, path: Path | None = None) -> WrittenReport:
    """Write the report as one file that holds the pictures, as small as the report shows them.

    The overlays in full size are in it if all of them together are no more than a mail takes.

    Args:
        folder: of the run.
        path: the file; None: ``report/single_file.html`` in the run's folder.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if its manifest is damaged, or it has more pictures than fit into one file.
        OSError: if it cannot be written, or a picture cannot be read.
    """
    manifest, compact = _manifest(folder), Compact()
    rows = list(_rows_with_few_pictures(folder))
    listed = [compact.row(row) for row in rows]
    small = [each for row in rows for each in _small_files(row)]
    overlays = [file for row in rows for each in row.get("maps", ()) if (file := each.get("files", {}).get("overlay"))]
    fits = sum(_size(folder, file) for file in overlays) <= _FULL_SIZE
    pictures = {file: url for file in (*small, *(overlays if fits else ())) if (url := _data_url(folder, file))}
    text = report_page(manifest, compact.lists(), len(rows), inline=listed, pictures=pictures)
    path = folder.path / REPORT / SINGLE if path is None else path
    write_bytes(path, text.encode(errors="backslashreplace"))
    remarks = _remarks(manifest, len(rows))
    if not fits:
        remarks += ("The overlays in full size are too large for one file, and left out.",)
    return WrittenReport(path, len(rows), remarks)


def _manifest(folder: RunFolder) -> dict[str, Any]:
    manifest = folder.manifest()
    if manifest is None:
        raise FileNotFoundError(
            f"{folder.path} is no run: it has no manifest.json; give the folder that cam run was told with --output-dir"
        )
    return manifest


def _rows(folder: RunFolder) -> Iterator[Row]:
    """Yield the rows in the order of the pictures, with the milliseconds; of shares that are not joined, of all."""
    indices, times = [folder.index()], [folder.times()]
    if not len(indices[0]):
        indices, times = [list(map(of, folder.shards())) for of in (folder.index, folder.times)]
    milliseconds = {row["position"]: row["ms"] for row in _merged(times)}
    for row in _merged(indices):
        yield row | {"ms": milliseconds.get(row["position"])}


def _merged(indices: list[RunIndex]) -> Iterator[Row]:
    return heapq.merge(*(index.rows() for index in indices), key=lambda row: row["position"])


def _rows_with_few_pictures(folder: RunFolder) -> Iterator[Row]:
    count = 0
    for row in _rows(folder):
        count += "thumb" in row
        if count > MOST_IN_ONE_FILE:
            raise ValueError(
                f"{folder.path} has more than the {MOST_IN_ONE_FILE} pictures that one file holds; leave out "
                "--single-file and pass on the whole folder, or make a run of fewer pictures (cam run --limit, --only)"
            )
        yield row


def _small_files(row: Row) -> Iterator[str]:
    if "thumb" in row:
        yield row["thumb"]
    for each in row.get("maps", ()):
        if "heat" in each.get("files", {}):
            yield each["files"]["heat"]


def _inside(folder: RunFolder, file: str) -> Path:
    """Return where a file of the run is.

    Raises:
        ValueError: if the index names one that is no part of the run: it would be passed on with the report.
    """
    path = folder.path / file
    if not path.resolve().is_relative_to(folder.path.resolve()):
        raise ValueError(f"the index of {folder.path} names {file}, which is no file of the run; it was changed")
    return path


def _size(folder: RunFolder, file: str) -> int:
    path = _inside(folder, file)
    return path.stat().st_size if path.is_file() else 0


def _data_url(folder: RunFolder, file: str) -> str | None:
    """Return a picture as an address that holds it; None if it is not there any more, which the page shows."""
    path = _inside(folder, file)
    if not path.is_file():
        return None
    return f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _delete_others(place: Path, chunks: list[str]) -> None:
    """Delete the data of former reports, and what a kill left of them."""
    names = {Path(chunk).name for chunk in chunks}
    for file in (place / DATA).glob("*"):
        if file.name not in names and _MADE_HERE.fullmatch(file.name):
            file.unlink(missing_ok=True)


def _remarks(manifest: dict[str, Any], count: int) -> tuple[str, ...]:
    remark = unfinished(manifest, count)
    return (remark,) if remark else ()
