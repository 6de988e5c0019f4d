"""``nnc gradcam-batch`` and ``nnc smoothgrad-batch``: every row of a dataset CSV, also after an interruption."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.errors import in_one_line
from pytorch_grad_cam.cli.explain.options import NncOptions
from pytorch_grad_cam.cli.nnc.run import ADVICE, SATURATED, Network, make_network
from pytorch_grad_cam.data.images import check_writable, read_image
from pytorch_grad_cam.nnc.dataset_csv import DatasetCsv, Labels, Row, write_dataset
from pytorch_grad_cam.nnc.pictures import Answer, Question, by_size
from pytorch_grad_cam.runs.fingerprint import fingerprint
from pytorch_grad_cam.runs.inputs import Inputs
from pytorch_grad_cam.runs.journal import Batch, Journal
from pytorch_grad_cam.runs.lock import alone_in
from pytorch_grad_cam.runs.runner import BatchRunner

PER_FOLDER = 1000  # pictures
SMOOTH_ROWS = 8  # rows between two entries of the journal; each takes num_samples passes
_SHOWN = 5  # numbers in a line
# What does not decide on the result.
_WITHOUT_EFFECT = ("input", "output", "debug", "image", "class_index", "model", "weights", "categories")


def batch(options: NncOptions) -> int:
    """Draw a picture for every row and write the CSV with the column that names them.

    Returns:
        0; 1 if a row failed; 130 if Ctrl-C ended the work.

    Raises:
        Exception: with a message for people where nothing can be done.
    """
    assert options.input is not None
    output = Path(options.output)
    if output.suffix.lower() != ".csv":
        raise ValueError(f"{output} is no name for a CSV file; end it in .csv")
    dataset = DatasetCsv(options.input)
    if output.exists() and output.samefile(dataset.path):
        raise ValueError(f"{output} is the dataset itself; name another file with --output")
    check_writable(output.with_suffix(""))
    column = dataset.positions(options.input_variable)
    if len(column) > 1:
        raise ValueError(f"{options.input_variable!r} has {len(column)} columns; the pictures must be in one")
    total = dataset.count()
    if not total:
        raise ValueError(f"{dataset.path} has no rows below its header")
    network = make_network(options, bars=False)
    labels = Labels(dataset, options.label_variable, network.classes)
    with alone_in(output.with_suffix("")):
        return _Work(options, dataset, column[0], labels, network, output).run(total)


class _Work:
    """One run over a dataset."""

    def __init__(
        self,
        options: NncOptions,
        dataset: DatasetCsv,
        column: int,
        labels: Labels,
        network: Network,
        output: Path,
    ) -> None:
        self._options, self._dataset, self._column = options, dataset, column
        self._labels, self._network, self._output = labels, network, output
        self._pictures = output.with_suffix("")
        self._inputs = Inputs(network.loaded.preprocessing)
        settings = {name: value for name, value in asdict(options).items() if name not in _WITHOUT_EFFECT}
        settings |= {
            "dataset": dataset.digest(),
            "model": fingerprint(network.loaded, options.model, options.weights),
            "version": f"{__version__}, torch {torch.__version__}",
        }
        self._journal = Journal(self._pictures / ".progress.jsonl", settings)

    def run(self, total: int) -> int:
        """Do the rows that are not done yet."""
        journal = self._journal
        if journal.changed:
            print(
                f"note: an interrupted run in {self._pictures} had other settings ({', '.join(journal.changed)}); "
                "starting anew",
                file=sys.stderr,
            )
        if journal.done:
            print(f"continuing: {journal.done} of {total} rows were done before")
        else:
            self._output.unlink(missing_ok=True)  # it would name pictures that are about to change
        journal.start()
        for each in journal.batches():
            self._report(each, {})
        try:
            with tqdm(total=total, initial=journal.done, unit="row", disable=None, leave=False) as bar:
                self._bar = bar
                rows = SMOOTH_ROWS if self._options.smooth else self._network.rows
                runner = BatchRunner(
                    self._question, partial(by_size, self._network.explainer), self._draw, self._commit, rows
                )
                runner.run(self._dataset.rows(journal.done))
        except KeyboardInterrupt:
            print(f"error: interrupted; {self._done(total)}", file=sys.stderr)
            return 130
        except Exception:
            print(f"note: {self._done(total)}", file=sys.stderr)
            raise
        column = "SmoothGrad" if self._options.smooth else "gradcam"
        write_dataset(self._output, [column, *self._dataset.header], self._rows())
        failed = self._summary(total)
        journal.remove()
        return 1 if failed else 0

    def _question(self, row: Row) -> Question:
        """Decode a row."""
        cells = self._dataset.checked(row).cells
        if not cells[self._column].strip():
            raise ValueError(f"its cell {self._options.input_variable!r} is empty; it must name a picture")
        picture = _read(self._dataset.file(cells[self._column]))
        return Question(row.index, picture, self._inputs.alone(picture), self._labels(row))

    def _draw(self, row: Row, answer: Answer) -> None:
        """Write a picture. A kill may cut it short, but then the journal does not vouch for it."""
        path = f"{self._pictures}/{_name(row.index)}"
        data = _png(answer.draw())
        try:
            _write(path, data)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write(path, data)

    def _commit(self, outcomes: Sequence[tuple[Row, Answer | Exception]]) -> None:
        """Write a batch down, say what is to be said about it, and move the bar."""
        failed, notes, saturated = [], [], []
        for row, outcome in outcomes:
            if isinstance(outcome, Exception):
                (self._pictures / _name(row.index)).unlink(missing_ok=True)  # of an older run
                failed.append((row.index, in_one_line(outcome)))
                continue
            notes += [(row.index, note) for note in outcome.notes]
            saturated += [row.index] * (self._network.probability and outcome.score > SATURATED)
        done = Batch(outcomes[-1][0].index + 1, tuple(failed), tuple(notes), tuple(saturated))
        self._journal.add(done)
        self._report(done, {row.index: row.line for row, _ in outcomes})
        self._bar.update(len(outcomes))

    def _report(self, done: Batch, lines: dict[int, int]) -> None:
        for kind, said in (("error", done.failed), ("note", done.notes)):
            for index, what in said:
                line = f" (line {lines[index]} of {self._dataset.path.name})" if index in lines else ""
                what = what if kind == "error" else f"the map means nothing: {what}"
                tqdm.write(f"{kind}: row {index + 1}{line}: {what}", file=sys.stderr)  # above the bar

    def _rows(self) -> Iterator[list[str]]:
        """Return the rows of the new CSV."""
        failed = chain.from_iterable(each.failed for each in self._journal.batches())
        bad, _ = next(failed, (-1, ""))
        for row, copied in self._dataset.copied(self._output.parent):
            if row.index == bad:
                bad, _ = next(failed, (-1, ""))
                yield ["", *copied]
            else:
                yield [f"{self._pictures.name}/{_name(row.index)}", *copied]

    def _summary(self, total: int) -> int:
        """Say what was done; return how many rows failed."""
        failed, saturated = _Numbers(), _Numbers()
        for each in self._journal.batches():
            failed.add([index for index, _ in each.failed])
            saturated.add(each.saturated)
        print(f"written:    {self._output}, {total - failed.count} pictures in {self._pictures}")
        if saturated.count:
            print(f"warning: the probability exceeds {SATURATED} in {saturated} of {total}: {ADVICE}", file=sys.stderr)
        if failed.count:
            print(f"error: {failed} of {total} failed; their cells are empty", file=sys.stderr)
        return failed.count

    def _done(self, total: int) -> str:
        return f"{self._journal.done} of {total} rows are done, the same command continues there"


class _Numbers:
    """A number of rows, of which some are named."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[int] = []

    def add(self, indices: Sequence[int]) -> None:
        self.count += len(indices)
        self._first += [index + 1 for index in indices[: _SHOWN - len(self._first)]]

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self._first) else ""
        return f"{self.count} rows ({', '.join(map(str, self._first))}{more})"


def _read(path: str) -> NDArray[np.uint8]:
    """Read a picture. Threads do it at once, and what `read_image` does about warnings is no thread's own."""
    try:
        with Image.open(path) as image:
            image.load()
            return read_image(image)
    except Exception:
        return read_image(path)  # says in a sentence what is wrong


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode RGB ``(H, W, 3)`` or gray ``(H, W)`` with OpenCV, which takes a third of the time that PIL takes."""
    image = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image)[1].tobytes()


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def _name(index: int) -> str:
    return f"{index // PER_FOLDER:04d}/{index}.png"
