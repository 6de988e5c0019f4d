"""What every engine of the command ``run`` shares: the run that was typed, and what is said of it."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from pytorch_grad_cam.cli.network import load_network, network_summary
from pytorch_grad_cam.cli.output import headed_lines
from pytorch_grad_cam.cli.run.options import RunOptions
from pytorch_grad_cam.data.files import check_writable
from pytorch_grad_cam.data.sources.find import find_source
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs import data_set_run
from pytorch_grad_cam.runs.data_set_run import DONE, FAILED, SKIPPED, DataSetRun
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.picture_files import PictureFiles
from pytorch_grad_cam.runs.ready_network import ExplainerOptions
from pytorch_grad_cam.runs.run_folder import INDEX, RunFolder
from pytorch_grad_cam.runs.run_index import Row
from pytorch_grad_cam.runs.selection import Selection
from pytorch_grad_cam.runs.shards import Shard
from pytorch_grad_cam.visualization.colormaps import colormap_number

_MOST_SAID = 5  # failures and notes that are said one by one


def folder_of(options: RunOptions) -> RunFolder:
    """Return the run's folder."""
    assert options.output_dir is not None  # the parser asks for it
    return RunFolder(options.output_dir)


def prepared(options: RunOptions, shard: Shard | None) -> DataSetRun:
    """Return the run, or a share of it, whose network is loaded; nothing is written.

    Raises:
        Exception: with a message for people where nothing can be done.
    """
    colormap_number(options.colormap)  # says what is wrong with a name, before there is any work
    work = data_set_run.RunOptions(
        files=PictureFiles(tuple(options.save), options.colormap, options.image_weight),
        only=tuple(map(Selection.parse, options.only)),
        limit=options.limit,
        max_pixels=options.max_pixels,
        shard=shard,
        workers=options.workers,
        retry_failed=options.retry_failed,
    )
    folder = folder_of(options)
    source = find_source(options.source)
    check_writable(folder.path)
    return DataSetRun(explainer_of(options), source, folder, work)


def explainer_of(options: RunOptions) -> Explainer:
    """Return what explains; its network is loaded where it is needed, also in another process."""
    return Explainer(partial(_loaded, options), explainer_options(options))


def explainer_options(options: RunOptions) -> ExplainerOptions:
    """Return what is explained, by what was typed."""
    settings = {"seed": options.seed, "num_samples": options.num_samples, "noise_level": options.noise_level}
    return ExplainerOptions(
        methods=tuple(options.method),
        classes=tuple(options.target),
        contrast="rest" if options.rest else options.contrast,
        against=options.against,
        layers=None if options.target_layers is None else tuple(options.target_layers),
        scores=options.scores,
        batch_size=options.batch_size,
        dtype=options.dtype,
        channels_last=options.channels_last,
        eigen_smooth=options.eigen_smooth,
        settings={name: value for name, value in settings.items() if value is not None},
    )


def _loaded(options: RunOptions) -> LoadedModel:
    return load_network(options)[0]


class Tally:
    """Counts what became of pictures, and says of some what is wrong with them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.right: Counter[bool] = Counter()
        self._complaints = 0

    @property
    def total(self) -> int:
        """How many pictures were counted."""
        return sum(self.counts.values())

    def count(self, row: Row) -> None:
        """Count a picture, and say nothing."""
        self.counts[row["status"]] += 1
        if row.get("right") is not None:
            self.right[row["right"]] += 1

    def add(self, rows: Sequence[Row]) -> None:
        """Count the pictures of a batch, and say which failed, and of which the map means nothing."""
        for row in rows:
            self.count(row)
            self._complain(row)

    def __add__(self, other: Tally) -> Tally:
        both = Tally()
        both.counts, both.right = self.counts + other.counts, self.right + other.right
        return both

    def lines(self) -> Iterator[str]:
        """Yield what came of all."""
        counts = [f"{self.counts[DONE]} explained"]
        counts += [f"{self.counts[SKIPPED]} not asked for (--only)"] if self.counts[SKIPPED] else []
        counts += [f"{self.counts[FAILED]} failed"] if self.counts[FAILED] else []
        yield f"pictures:   {', '.join(counts)}"
        judged = sum(self.right.values())
        if judged:
            yield f"right:      {self.right[True]} of {judged} ({100 * self.right[True] / judged:.1f} %)"

    def say_failures(self) -> None:
        """Say how many pictures failed, if any did."""
        if self.counts[FAILED]:
            print(f"error: {self.counts[FAILED]} of {self.total} pictures failed; --retry-failed does them again",
                  file=sys.stderr)  # fmt: skip

    def _complain(self, row: Row) -> None:
        from tqdm import tqdm

        lines = [f"error: {row['origin']}: {row['error']}"] if row["status"] == FAILED else []
        lines += [f"note: {row['origin']}: {each['method']}: {note}"
                  for each in row.get("maps", ()) for note in each["notes"]]  # fmt: skip
        for line in lines:
            self._complaints += 1
            if self._complaints <= _MOST_SAID:
                tqdm.write(line, file=sys.stderr)
            elif self._complaints == _MOST_SAID + 1:
                tqdm.write(f"note: more of this kind is in {INDEX}", file=sys.stderr)


class Said(Tally):
    """Works under a bar that shows the rate and the time that is left, and says what came of it.

    Args:
        run: which was claimed.
    """

    def __init__(self, run: DataSetRun) -> None:
        super().__init__()
        self.run = run
        self.share = len(run.mine())
        for row in rows_before(run):
            self.count(row)
        self.before = self.total

    @contextmanager
    def bar(self) -> Iterator[data_set_run.Report]:
        """Show how far the work is while the block does it; it tells what it is given here of each batch."""
        from tqdm import tqdm

        shard = self.run.options.shard
        if self.before:
            print(f"going on:   {self.before} of {self.share} pictures were done before")
        title = "" if shard is None else f"(share {shard} of {len(self.run.items)})"
        with tqdm(total=self.share, initial=self.before, unit="picture", disable=None, leave=False, desc=title) as bar:

            def report(rows: Sequence[Row]) -> None:
                self.add(rows)
                bar.update(len(rows))

            with logged_above_bar():
                yield report

    def progress(self) -> str:
        """Say how far the work is."""
        return f"{self.total} of {self.share} pictures are done and kept in {self.run.folder.path}"

    def end(self, profile: bool) -> None:
        """Say what came of it."""
        print(model_line(self.run), *self.lines(), sep="\n")
        if profile:
            lines = [f"{seconds:9.2f} s  {what}" for what, seconds in self.run.watch.seconds.items()]
            print(*headed_lines("time", [*lines, "(of all threads together)"]), sep="\n")
        shard = self.run.options.shard
        print(f"written:    {self.run.folder.of_shard(shard) / INDEX}" + ("" if shard else " and what it names"))
        self.say_failures()


def rows_before(run: DataSetRun) -> list[Row]:
    """Return the rows of a run, which was claimed, that need not be done any more."""
    to_do = set(run.to_do())
    return [row for row in run.folder.index(run.options.shard).rows() if row["position"] not in to_do]


def model_line(run: DataSetRun) -> str:
    """Say what the network is."""
    loaded = run.explainer.ready.loaded
    seen = loaded.preprocessing.crop or loaded.preprocessing.resize or 0
    side = (seen, seen) if isinstance(seen, int) else seen
    return f"model:      {network_summary(loaded, side) if seen else loaded.source}"


def write_above_bar(text: str) -> None:
    """Say something while a bar is shown."""
    from tqdm import tqdm

    tqdm.write(f"note: {text}", file=sys.stderr)


@contextmanager
def logged_above_bar(say: Callable[[str], None] = write_above_bar) -> Iterator[None]:
    """Show what the explainer has to say of its own accord, such as that the memory is too small."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: say(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("pytorch_grad_cam.runs")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
