"""``nnc gradcam-batch`` and ``nnc smoothgrad-batch``: what is said while every row of a dataset CSV is explained."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from pytorch_grad_cam.cli.network import chosen_device, load_network
from pytorch_grad_cam.nnc.dataset_csv import Labels
from pytorch_grad_cam.nnc.dataset_run import DatasetRun, plan_dataset
from pytorch_grad_cam.nnc.network import SATURATED, SATURATED_ADVICE, console_network
from pytorch_grad_cam.nnc.options import NncOptions
from pytorch_grad_cam.runs.journal import Batch
from pytorch_grad_cam.runs.lock import folder_lock

_MOST_NUMBERS = 5  # in a line


def explain_dataset(options: NncOptions) -> int:
    """Draw a picture for every row and write the CSV with the column that names them.

    Returns:
        0; 1 if a row failed; 130 if Ctrl-C ended the work.

    Raises:
        Exception: with a message for people where nothing can be done.
    """
    plan = plan_dataset(options)
    device = chosen_device(options)
    network = console_network(load_network(options, device), options, device)
    labels = Labels(plan.dataset, options.label_variable, network.classes)
    with folder_lock(plan.folder):
        return _explain_rows(DatasetRun(options, plan, labels, network))


def _explain_rows(run: DatasetRun) -> int:
    journal, total = run.journal, run.plan.rows
    if journal.changed:
        print(
            f"note: an interrupted run in {run.plan.folder} had other settings ({', '.join(journal.changed)}); "
            "starting anew",
            file=sys.stderr,
        )
    if journal.done:
        print(f"continuing: {journal.done} of {total} rows were done before")
    run.start()
    for batch in journal.batches():
        _print_batch(run, batch, {})
    try:
        with tqdm(total=total, initial=journal.done, unit="row", disable=None, leave=False) as bar:

            def report(batch: Batch, lines: Mapping[int, int]) -> None:
                _print_batch(run, batch, lines)
                bar.update(len(lines))

            run.explain_rows(report)
    except KeyboardInterrupt:
        print(f"error: interrupted; {_progress(run)}", file=sys.stderr)
        return 130
    except Exception:
        print(f"note: {_progress(run)}", file=sys.stderr)
        raise
    run.write_csv()
    failed = _print_summary(run)
    journal.remove()
    return 1 if failed else 0


def _print_batch(run: DatasetRun, batch: Batch, lines: Mapping[int, int]) -> None:
    """Say which rows of a batch failed or mean nothing, where it is known on which lines of the file they end."""
    for kind, sentences in (("error", batch.failed), ("note", batch.notes)):
        for index, sentence in sentences:
            line = f" (line {lines[index]} of {run.plan.dataset.path.name})" if index in lines else ""
            what = sentence if kind == "error" else f"the map means nothing: {sentence}"
            tqdm.write(f"{kind}: row {index + 1}{line}: {what}", file=sys.stderr)  # above the bar


def _print_summary(run: DatasetRun) -> int:
    """Say what was done; return how many rows failed."""
    failed, saturated = _RowNumbers(), _RowNumbers()
    for batch in run.journal.batches():
        failed.add([index for index, _ in batch.failed])
        saturated.add(batch.saturated)
    total = run.plan.rows
    print(f"written:    {run.plan.output}, {total - failed.count} pictures in {run.plan.folder}")
    if saturated.count:
        what = f"the probability exceeds {SATURATED} in {saturated} of {total}"
        print(f"warning: {what}: {SATURATED_ADVICE}", file=sys.stderr)
    if failed.count:
        print(f"error: {failed} of {total} failed; their cells are empty", file=sys.stderr)
    return failed.count


def _progress(run: DatasetRun) -> str:
    done = run.journal.done
    return f"{done} of {run.plan.rows} rows are done, the same command continues there"


class _RowNumbers:
    """A count of rows, of which the first are named."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[int] = []

    def add(self, indices: Sequence[int]) -> None:
        self.count += len(indices)
        self._first += [index + 1 for index in indices[: _MOST_NUMBERS - len(self._first)]]

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self._first) else ""
        return f"{self.count} rows ({', '.join(map(str, self._first))}{more})"
