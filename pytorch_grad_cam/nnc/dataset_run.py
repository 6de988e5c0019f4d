"""A run of a plug-in over every row of a dataset CSV, which continues where it was interrupted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import torch

from pytorch_grad_cam import __version__
from pytorch_grad_cam.data.images import check_writable, read_file
from pytorch_grad_cam.nnc.dataset_csv import DatasetCsv, Labels, Row, write_dataset
from pytorch_grad_cam.nnc.map_request import DrawnMap, MapRequest, Pixels, explain_by_size
from pytorch_grad_cam.nnc.network import ConsoleNetwork
from pytorch_grad_cam.nnc.options import NncOptions
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.fingerprint import fingerprint
from pytorch_grad_cam.runs.inputs import BatchPreprocessing
from pytorch_grad_cam.runs.journal import Batch, Journal
from pytorch_grad_cam.runs.runner import BatchRunner

PER_FOLDER = 1000  # pictures
SMOOTH_ROWS = 8  # rows between two entries of the journal; each takes num_samples passes
# What does not decide on the result.
_WITHOUT_EFFECT = ("input", "output", "debug", "image", "class_index", "model", "weights", "categories")
Report = Callable[[Batch, Mapping[int, int]], None]


@dataclass(frozen=True)
class DatasetPlan:
    """What a run reads and where it writes.

    Attributes:
        dataset: the CSV.
        column: position of the column that names the pictures.
        rows: number of rows.
        output: the CSV to write.
    """

    dataset: DatasetCsv
    column: int
    rows: int
    output: Path

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
    rows = dataset.count()
    if not rows:
        raise ValueError(f"{dataset.path} has no rows below its header")
    return DatasetPlan(dataset, columns[0], rows, output)


class DatasetRun:
    """Draws a picture for every row of a dataset CSV, and writes the CSV with the column that names them.

    Args:
        options: of the plug-in; those that decide on the result must be the same for a run to be continued.
        plan: what is read and written. The caller holds the lock of its folder.
        labels: the class of each row.
        network: explains and draws.
    """

    def __init__(self, options: NncOptions, plan: DatasetPlan, labels: Labels, network: ConsoleNetwork) -> None:
        self.plan = plan
        self._options, self._labels, self._network = options, labels, network
        self._preprocessing = BatchPreprocessing(network.loaded.preprocessing)
        settings = {name: value for name, value in asdict(options).items() if name not in _WITHOUT_EFFECT}
        settings |= {
            "dataset": plan.dataset.digest(),
            "model": fingerprint(network.loaded, options.model, options.weights),
            "version": f"{__version__}, torch {torch.__version__}",
        }
        self.journal = Journal(plan.folder / ".progress.jsonl", settings)

    def start(self) -> None:
        """Begin, or continue where an earlier run was interrupted."""
        if not self.journal.done:
            self.plan.output.unlink(missing_ok=True)  # it would name pictures that are about to change
        self.journal.start()

    def explain_rows(self, report: Report) -> None:
        """Draw the rows that are not finished yet.

        Args:
            report: is told of each batch when it is finished, and on which line of the file each of its rows ends.
        """
        rows = SMOOTH_ROWS if self._options.smooth else self._network.rows
        explain = partial(explain_by_size, self._network.explainer)
        runner = BatchRunner(self._request, explain, self._draw, partial(self._commit, report), rows)
        runner.run(self.plan.dataset.rows(self.journal.done))

    def write_csv(self) -> None:
        """Write the dataset's rows with the new column in front; the cell of a row that failed is empty."""
        column = "SmoothGrad" if self._options.smooth else "gradcam"
        write_dataset(self.plan.output, [column, *self.plan.dataset.header], self._rows_with_pictures())

    def _request(self, row: Row) -> MapRequest:
        """Decode a row."""
        cells = self.plan.dataset.checked(row).cells
        if not cells[self.plan.column].strip():
            raise ValueError(f"its cell {self._options.input_variable!r} is empty; it must name a picture")
        image = read_file(self.plan.dataset.file(cells[self.plan.column]), self._options.max_pixels)
        return MapRequest(row.index, image, self._preprocessing.resized(image), self._labels(row))

    def _draw(self, row: Row, drawn: DrawnMap) -> None:
        """Write a picture. A kill may cut it short, but then the journal does not vouch for it."""
        path = f"{self.plan.folder}/{_picture_name(row.index)}"
        data = _png(drawn.draw())
        try:
            _write(path, data)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write(path, data)

    def _commit(self, report: Report, outcomes: Sequence[tuple[Row, DrawnMap | Exception]]) -> None:
        """Write a batch down and report it."""
        failed, notes, saturated = [], [], []
        for row, outcome in outcomes:
            if isinstance(outcome, Exception):
                (self.plan.folder / _picture_name(row.index)).unlink(missing_ok=True)  # of an older run
                failed.append((row.index, in_one_line(outcome)))
                continue
            notes += [(row.index, note) for note in outcome.notes]
            saturated += [row.index] * self._network.is_saturated(outcome)
        batch = Batch(outcomes[-1][0].index + 1, tuple(failed), tuple(notes), tuple(saturated))
        self.journal.add(batch)
        report(batch, {row.index: row.line for row, _ in outcomes})

    def _rows_with_pictures(self) -> Iterator[list[str]]:
        failed = chain.from_iterable(batch.failed for batch in self.journal.batches())
        next_failed, _ = next(failed, (-1, ""))
        for row, cells in self.plan.dataset.copied(self.plan.output.parent):
            if row.index == next_failed:
                next_failed, _ = next(failed, (-1, ""))
                yield ["", *cells]
            else:
                yield [f"{self.plan.folder.name}/{_picture_name(row.index)}", *cells]


def _png(pixels: Pixels) -> bytes:
    """Encode RGB ``(H, W, 3)`` or gray ``(H, W)`` with OpenCV, which takes a third of the time that PIL takes."""
    image = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image)[1].tobytes()


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def _picture_name(index: int) -> str:
    return f"{index // PER_FOLDER:04d}/{index}.png"
