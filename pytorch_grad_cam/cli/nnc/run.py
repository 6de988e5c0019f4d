"""The command ``nnc``: what the XAI plug-ins of Neural Network Console do, for one picture or a dataset CSV."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from pytorch_grad_cam.cli.network import load_network, network_summary
from pytorch_grad_cam.common.messages import MeaninglessMapWarning
from pytorch_grad_cam.data.files import check_writable, write_bytes
from pytorch_grad_cam.data.images import FORMATS, encoded_image, read_image
from pytorch_grad_cam.nnc.dataset_csv import Labels
from pytorch_grad_cam.nnc.dataset_run import Changes, DatasetRun, plan_dataset
from pytorch_grad_cam.nnc.network import SATURATED, SATURATED_ADVICE, console_network
from pytorch_grad_cam.nnc.options import NncOptions
from pytorch_grad_cam.runs.journal import Batch
from pytorch_grad_cam.runs.lock import folder_lock
from pytorch_grad_cam.targets.class_choices import class_label

_MOST_NUMBERS = 5  # in a line


def run(options: NncOptions) -> int:
    """Run one of the four plug-ins.

    Returns:
        0; 1 if a row failed; 130 if Ctrl-C ended the work on many.

    Raises:
        Exception: with a message for people where nothing can be done.
    """
    with warnings.catch_warnings():  # out here: filters are shared by all threads
        warnings.simplefilter("ignore", MeaninglessMapWarning)  # said from the notes
        return _explain_dataset(options) if options.batch else _explain_picture(options)


def _explain_picture(options: NncOptions) -> int:
    output = Path(options.output)
    if output.suffix.lower() not in FORMATS:
        raise ValueError(f"{output.name} does not say which format to write; end it in {', '.join(FORMATS)}")
    check_writable(output.parent)
    assert options.image is not None
    image = read_image(options.image, max_pixels=options.max_pixels)  # before the network is loaded, which takes longer
    loaded, device = load_network(options)
    network = console_network(loaded, options, device, progress=sys.stderr.isatty())
    request = network.request(image, options.class_index)
    (drawn,) = network.explainer([request])
    write_bytes(output, encoded_image(output, drawn.draw()))
    print(f"picture:    {options.image}")
    print(f"model:      {network_summary(loaded, request.input_size)}")
    print(f"explained:  {class_label(options.class_index, loaded.categories)}, {options.score} {drawn.score:.6g}")
    print(f"written:    {output}")
    for note in drawn.notes:
        print(f"note: the map means nothing: {note}", file=sys.stderr)
    if network.is_saturated(drawn):
        print(f"warning: the probability is {drawn.score:.7g}: {SATURATED_ADVICE}", file=sys.stderr)
    return 0


def _explain_dataset(options: NncOptions) -> int:
    """Draw a picture for every row of a dataset CSV and write the CSV with the column that names them."""
    plan = plan_dataset(options)
    loaded, device = load_network(options)
    network = console_network(loaded, options, device)
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
    if journal.unreadable:
        what = f"continuing after its row {journal.done}" if journal.done else "starting anew"
        print(f"note: {journal.path}, of an interrupted run, {journal.unreadable}; {what}", file=sys.stderr)
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

            run.complete(report, partial(_print_changes, run))
    except KeyboardInterrupt:
        print(f"error: interrupted; {_progress(run)}", file=sys.stderr)
        return 130
    except Exception:
        print(f"note: {_progress(run)}", file=sys.stderr)
        raise
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


def _print_changes(run: DatasetRun, changes: Changes) -> None:
    """Say which rows are drawn again, and why."""
    for indices, what in (
        (changes.rows, f"{run.plan.dataset.path.name}, or a file of their labels, has changed since they were drawn"),
        (changes.inputs, "their pictures to explain were replaced, removed or added since"),
        (changes.results, f"the pictures drawn of them are no longer in {run.plan.folder} as they were written"),
    ):
        if indices:
            _, rows = _counted_rows(iter(indices))
            tqdm.write(f"note: {rows}: {what}; drawing again", file=sys.stderr)


def _print_summary(run: DatasetRun) -> int:
    """Say what was done; return how many rows failed."""
    total = run.plan.rows
    failed, failed_rows = _counted_rows(index for batch in run.journal.batches() for index, _ in batch.failed)
    saturated, saturated_rows = _counted_rows(index for batch in run.journal.batches() for index in batch.saturated)
    print(f"written:    {run.plan.output}, {total - failed} pictures in {run.plan.folder}")
    if saturated:
        what = f"the probability exceeds {SATURATED} in {saturated_rows} of {total}"
        print(f"warning: {what}: {SATURATED_ADVICE}", file=sys.stderr)
    if failed:
        print(f"error: {failed_rows} of {total} failed; their cells are empty", file=sys.stderr)
    return failed


def _counted_rows(indices: Iterator[int]) -> tuple[int, str]:
    """Count rows, and name the first; of any number of rows in constant memory."""
    first = [str(index + 1) for index in islice(indices, _MOST_NUMBERS)]
    count = len(first) + sum(1 for _ in indices)
    return count, f"{count} row{'' if count == 1 else 's'} ({', '.join(first)}{', ...' if count > len(first) else ''})"


def _progress(run: DatasetRun) -> str:
    done = run.journal.done
    return f"{done} of {run.plan.rows} rows are done, the same command continues there"
