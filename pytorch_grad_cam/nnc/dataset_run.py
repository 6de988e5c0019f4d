"""A run of a plug-in over every row of a dataset CSV, which continues where it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import torch

from pytorch_grad_cam import __version__
from pytorch_grad_cam.data.files import check_writable, make_durable, write_bytes
from pytorch_grad_cam.data.images import decode_image, read_image
from pytorch_grad_cam.nnc.dataset_csv import DatasetCsv, Labels, Row, write_dataset
from pytorch_grad_cam.nnc.explainers import DrawnMap, MapRequest, Pixels, explain_by_size
from pytorch_grad_cam.nnc.network import ConsoleNetwork
from pytorch_grad_cam.nnc.options import NncOptions
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.file_state import FileState, digest, regular_file
from pytorch_grad_cam.runs.fingerprint import fingerprint
from pytorch_grad_cam.runs.inputs import BatchPreprocessing
from pytorch_grad_cam.runs.journal import Batch, Journal, RowState
from pytorch_grad_cam.runs.runner import BatchRunner

PER_FOLDER = 1000  # pictures
ROUNDS = 3  # in which rows that something else has changed meanwhile are drawn again
SMOOTH_ROWS = 8  # rows between two entries of the journal; each takes num_samples passes
# What does not decide on the result.
_WITHOUT_EFFECT = ("input", "output", "debug", "image", "class_index", "model", "weights", "categories")
Report = Callable[[Batch, Mapping[int, int]], None]


@dataclass
class Changes:
    """Rows, by their numbers, that are no longer what they were when they were drawn."""

    rows: list[int] = field(default_factory=list)  # the CSV says something else there, or the file of its label does
    inputs: list[int] = field(default_factory=list)  # the picture to explain is missing now, or another one
    results: list[int] = field(default_factory=list)  # what was drawn is missing, or something else has changed it
    batches: list[tuple[int, int]] = field(default_factory=list)  # that hold them: the first row, that after the last

    def __len__(self) -> int:
        return len(self.rows) + len(self.inputs) + len(self.results)


class ChangedRowsError(Exception):
    """Not all rows are what the journal says."""


@dataclass(frozen=True)
class DatasetPlan:
    """What a run reads and where it writes."""

    dataset: DatasetCsv
    column: int  # position of the column that names the pictures
    rows: int  # their number
    digest: str  # of the dataset, before they were counted
    output: Path  # the CSV to write

    @property
    def folder(self) -> Path:
        """Where the pictures are written."""
        return self.output.with_suffix("")


def plan_dataset(options: NncOptions) -> DatasetPlan:
    """Check all that can be checked before the network is loaded.

    Raises:
        OSError, ValueError: for a dataset that cannot be read, or a place that cannot be written to.
    """
    assert options.input is not None
    output = Path(options.output)
    if output.suffix.lower() != ".csv":
        raise ValueError(f"{output} is no name for a CSV file; end it in .csv")
    dataset = DatasetCsv(options.input)
    if output.exists() and output.samefile(dataset.path):
        raise ValueError(f"{output} is the dataset itself; name another file with --output")
    check_writable(output.with_suffix(""))
    columns = dataset.positions(options.input_variable)
    if len(columns) > 1:
        raise ValueError(f"{options.input_variable!r} has {len(columns)} columns; the pictures must be in one")
    dataset_digest = dataset.digest()
    rows = dataset.count()
    if not rows:
        raise ValueError(f"{dataset.path} has no rows below its header")
    return DatasetPlan(dataset, columns[0], rows, dataset_digest, output)


class DatasetRun:
    """Draws a picture for every row of a dataset CSV, and writes the CSV with the column that names them.

    A run is continued if the options that decide on the result are the same. Before the CSV is written, every row is
    compared with the journal; what has changed since it was drawn, or is missing, is drawn again. The caller holds the
    lock of the folder.
    """

    def __init__(self, options: NncOptions, plan: DatasetPlan, labels: Labels, network: ConsoleNetwork) -> None:
        self.plan = plan
        self._options, self._labels, self._network = options, labels, network
        self._preprocessing = BatchPreprocessing(network.loaded.preprocessing)
        self._rows = SMOOTH_ROWS if options.smooth else network.rows  # in a batch
        self._states: dict[int, RowState] = {}  # of rows that are being worked on
        self._results: dict[int, FileState] = {}  # their pictures
        settings = {name: value for name, value in asdict(options).items() if name not in _WITHOUT_EFFECT}
        model = fingerprint(network.loaded, options.model, options.weights)
        settings |= {"dataset": plan.digest, "model": model, "rows": self._rows}
        settings["version"] = f"{__version__}, torch {torch.__version__}"
        self.journal = Journal(plan.folder / ".progress.jsonl", settings)

    def start(self) -> None:
        """Begin, or continue where an earlier run was interrupted."""
        self.plan.output.unlink(missing_ok=True)  # it may name pictures that are about to change
        self.journal.start()

    def complete(self, report: Report, say: Callable[[Changes], None]) -> None:
        """Draw the rows that are not finished yet, and write the CSV: the rows with the new column in front.

        Args:
            report: is told of each batch, and on which line of the file its rows end.
            say: is told of rows that have changed since they were drawn, before they are drawn again.

        Raises:
            RuntimeError: if the dataset was changed meanwhile, or something does not cease to change files. There is
                no CSV then; what is done stays done.
        """
        column = "SmoothGrad" if self._options.smooth else "gradcam"
        self._draw_rows(report, islice(self.plan.dataset.rows(self.journal.done), self.plan.rows - self.journal.done))
        for _ in range(ROUNDS):
            changes = Changes()
            try:
                make_durable(self.plan.folder, self._pictures())  # before the CSV names them
                write_dataset(self.plan.output, [column, *self.plan.dataset.header], self._checked_rows(changes))
            except ChangedRowsError:
                self._check_dataset()
                say(changes)
                self._draw_rows(report, self._rows_of(changes.batches))
            else:
                return
        raise RuntimeError(
            f"{len(changes)} rows were drawn {ROUNDS} times, and each time their files were changed meanwhile; "
            "give the same command again when nothing else writes there"
        )

    def _draw_rows(self, report: Report, rows: Iterable[Row]) -> None:
        """Draw rows, from the first of a batch on."""
        explain = partial(explain_by_size, self._network.explainer)
        BatchRunner(self._request, explain, self._draw, partial(self._commit, report), self._rows).run(rows)

    def _pictures(self) -> Iterator[str]:
        """Yield the pictures that were drawn and are still there."""
        for batch in self.journal.batches():
            paths = [self._picture_path(row) for row, state in enumerate(batch.rows, batch.start) if state.result]
            yield from (path for path in paths if regular_file(path))

    def _rows_of(self, batches: Sequence[tuple[int, int]]) -> Iterator[Row]:
        rows = self.plan.dataset.rows()
        before = 0
        for start, stop in batches:
            yield from islice(rows, start - before, stop - before)
            before = stop

    def _request(self, row: Row) -> MapRequest:
        """Decode a row."""
        label = self._label(row)
        self._states[row.index] = state = RowState(_row_digest(row, label), None, None)
        path = self._input_path(row)
        if not path:
            raise ValueError(f"its cell {self._options.input_variable!r} is empty; it must name a picture")
        data, file_state = _read_file(path)
        self._states[row.index] = state._replace(input=file_state)
        image = _decoded(path, data, self._options.max_pixels)
        if isinstance(label, str):
            raise ValueError(label)
        return MapRequest(row.index, image, self._preprocessing.resized(image), label)

    def _label(self, row: Row) -> int | str:
        """Return the class of a row, or why it has none."""
        try:
            return self._labels(self.plan.dataset.checked(row))
        except (ValueError, OSError) as error:
            return in_one_line(error)

    def _input_path(self, row: Row) -> str:
        """Return the picture that a row names; nothing if it names none."""
        cell = self.plan.dataset.checked(row).cells[self.plan.column]
        return self.plan.dataset.file(cell) if cell.strip() else ""

    def _draw(self, row: Row, drawn: DrawnMap) -> None:
        """Write a picture. It counts when the journal vouches for it."""
        data = _png(drawn.draw())
        path = self._picture_path(row.index)
        write_bytes(path, data, sole_writer=True)
        state, status = FileState(len(data), 0, digest(data)), regular_file(path)
        self._results[row.index] = state if status is None else FileState.of(status, state.digest)

    def _commit(self, report: Report, outcomes: Sequence[tuple[Row, DrawnMap | Exception]]) -> None:
        """Write a batch down and report it."""
        failed, notes, saturated, states = [], [], [], []
        for row, outcome in outcomes:
            state = self._states.pop(row.index)
            if isinstance(outcome, Exception):
                Path(self._picture_path(row.index)).unlink(missing_ok=True)  # of an older run
                failed.append((row.index, in_one_line(outcome)))
                states.append(state)
                continue
            states.append(state._replace(result=self._results.pop(row.index)))
            notes += [(row.index, note) for note in outcome.notes]
            saturated += [row.index] * self._network.is_saturated(outcome)
        start, stop = outcomes[0][0].index, outcomes[-1][0].index + 1
        batch = Batch(start, stop, tuple(failed), tuple(notes), tuple(saturated), tuple(states))
        self.journal.add(batch)
        report(batch, {row.index: row.line for row, _ in outcomes})

    def _checked_rows(self, changes: Changes) -> Iterator[list[str]]:
        """Yield the rows of the CSV to write, each with its picture, which is there.

        Raises:
            ChangedRowsError: at the end, if one is not what the journal says; ``changes`` has them then.
        """
        self._labels.forget_files()
        done = 0
        rows = self.plan.dataset.copied(self.plan.output.parent)
        for batch in self.journal.batches():
            before = len(changes)
            for (row, cells), state in zip(islice(rows, len(batch.rows)), batch.rows, strict=False):
                self._compare(row, state, changes, batch.start not in self.journal.added)
                done = row.index + 1
                yield ["" if state.result is None else f"{self.plan.folder.name}/{_picture_name(row.index)}", *cells]
            if len(changes) > before:
                changes.batches.append((batch.start, batch.stop))
        if changes:
            raise ChangedRowsError
        if next(rows, None) is not None or done != self.plan.rows:
            raise self._changed_dataset()

    def _compare(self, row: Row, state: RowState, changes: Changes, read: bool) -> None:
        """Note a row that has changed. Pictures of an earlier run are read: since then the power may have been cut."""
        if _row_digest(row, self._label(row)) != state.cells:
            changes.rows.append(row.index)
        elif len(row.cells) == len(self.plan.dataset.header) and not _is_still(self._input_path(row), state.input):
            changes.inputs.append(row.index)
        elif state.result is not None and not state.result.still_holds(self._picture_path(row.index), read):
            changes.results.append(row.index)

    def _check_dataset(self) -> None:
        if self.plan.dataset.digest() != self.plan.digest:
            raise self._changed_dataset()

    def _changed_dataset(self) -> RuntimeError:
        return RuntimeError(
            f"{self.plan.dataset.path} was changed while the run was at work, so {self.plan.output} was not written; "
            "give the same command again: it begins anew if the file stays changed"
        )

    def _picture_path(self, index: int) -> str:
        return f"{self.plan.folder}/{_picture_name(index)}"


def _row_digest(row: Row, label: int | str) -> str:
    return digest(repr((row.cells, label)).encode(errors="backslashreplace"))


def _is_still(path: str, state: FileState | None) -> bool:
    return regular_file(path) is None if state is None else state.still_holds(path)


def _read_file(path: str) -> tuple[bytes | None, FileState | None]:
    """Read a file and what tells it from others; no bytes if that is impossible, nothing if it is no file."""
    status = regular_file(path)
    if status is None:
        return None, None
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())  # before it is read: what changes it meanwhile is seen later
            data = file.read()
    except OSError:
        return None, FileState.of(status, "")
    return data, FileState.of(status, digest(data))


def _decoded(path: str, data: bytes | None, max_pixels: int) -> Pixels:
    """Decode an image; where there are no bytes, say in a sentence what is wrong."""
    return read_image(path) if data is None else decode_image(data, path, max_pixels)


def _png(pixels: Pixels) -> bytes:
    """Encode RGB ``(H, W, 3)`` or gray ``(H, W)`` with OpenCV, which takes a third of the time that PIL takes."""
    image = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image)[1].tobytes()


def _picture_name(index: int) -> str:
    return f"{index // PER_FOLDER:04d}/{index}.png"
