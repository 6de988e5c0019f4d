"""The command ``run``: explain any number of pictures, batch by batch, and keep what was found in a folder."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from pytorch_grad_cam.runs.merge import merge, missing_shards
from pytorch_grad_cam.runs.picture_files import PictureFiles
from pytorch_grad_cam.runs.ready_network import ExplainerOptions
from pytorch_grad_cam.runs.run_folder import INDEX, RunFolder
from pytorch_grad_cam.runs.run_index import Row
from pytorch_grad_cam.runs.selection import Selection
from pytorch_grad_cam.runs.shards import Shard
from pytorch_grad_cam.visualization.colormaps import colormap_number

_MOST_SAID = 5  # failures and notes that are said one by one


def run(options: RunOptions) -> int:
    """Explain the pictures and say what came of them.

    Returns:
        0; 1 if a picture failed, which is said; 130 after Ctrl-C.

    Raises:
        Exception: with a message for people where nothing can be done.
    """
    if options.merge is not None:
        return _merge(RunFolder(options.merge))
    assert options.output_dir is not None
    folder = RunFolder(options.output_dir)
    colormap_number(options.colormap)  # says what is wrong with a name, before there is any work
    work = data_set_run.RunOptions(
        files=PictureFiles(tuple(options.save), options.colormap, options.image_weight),
        only=tuple(map(Selection.parse, options.only)),
        limit=options.limit,
        max_pixels=options.max_pixels,
        shard=Shard.from_environment() if options.shard is None else Shard.parse(options.shard),
        workers=options.workers,
        retry_failed=options.retry_failed,
    )
    source = find_source(options.source)
    check_writable(folder.path)
    explainer = Explainer(partial(_loaded, options), explainer_options(options))
    this = DataSetRun(explainer, source, folder, work)
    with folder.writing(work.shard):
        (folder.begin_anew if options.overwrite else folder.claim)(this.settings())
        said = _Said(this)
        try:
            said.work()
        except KeyboardInterrupt:
            print(f"error: interrupted; {said.progress()}; the same command goes on there", file=sys.stderr)
            return 130
    said.end(options.profile)
    if work.shard is not None:
        _merge_if_last(folder)
    return 1 if said.counts[FAILED] else 0


def explainer_options(options: RunOptions) -> ExplainerOptions:
    """Return what is explained, by what was typed."""
    settings = {"seed": options.seed, "num_samples": options.num_samples, "noise_level": options.noise_level}
    return ExplainerOptions(
        methods=tuple(options.method),
        classes=tuple(options.target),
        contrast=options.contrast,
        against=options.against,
        layers=None if options.target_layers is None else tuple(options.target_layers),
        scores=options.scores,
        batch_size=options.batch_size,
        dtype=options.dtype,
        eigen_smooth=options.eigen_smooth,
        settings={name: value for name, value in settings.items() if value is not None},
    )


def _loaded(options: RunOptions) -> LoadedModel:
    return load_network(options)[0]


@dataclass
class _Said:
    """Works, and says what is being done and what came of it."""

    run: DataSetRun
    counts: Counter[str] = field(default_factory=Counter)
    right: Counter[bool] = field(default_factory=Counter)
    _complaints: int = 0

    def __post_init__(self) -> None:
        self.share = len(self.run.mine())
        to_do = set(self.run.to_do())
        for row in self.run.folder.index(self.run.options.shard).rows():
            if row["position"] not in to_do:
                self._count(row)
        self.before = sum(self.counts.values())

    def work(self) -> None:
        """Do the work under a bar that shows the rate and the time that is left."""
        from tqdm import tqdm

        options = self.run.options
        if self.before:
            print(f"going on:   {self.before} of {self.share} pictures were done before")
        share = "" if options.shard is None else f" (share {options.shard} of {len(self.run.items)})"
        bar = tqdm(total=self.share, initial=self.before, unit="picture", disable=None, leave=False, desc=share.strip())
        with bar, _logged_above_bar():

            def report(rows: Sequence[Row]) -> None:
                for row in rows:
                    self._count(row)
                    self._complain(row)
                bar.update(len(rows))

            self.run.run(report)

    def progress(self) -> str:
        """Say how far the work is."""
        return f"{sum(self.counts.values())} of {self.share} pictures are done and kept in {self.run.folder.path}"

    def end(self, profile: bool) -> None:
        """Say what came of it."""
        loaded = self.run.explainer.ready.loaded
        seen = loaded.preprocessing.crop or loaded.preprocessing.resize or 0
        side = (seen, seen) if isinstance(seen, int) else seen
        print(f"model:      {network_summary(loaded, side) if seen else loaded.source}")
        counts = [f"{self.counts[DONE]} explained"]
        counts += [f"{self.counts[SKIPPED]} not asked for (--only)"] if self.counts[SKIPPED] else []
        counts += [f"{self.counts[FAILED]} failed"] if self.counts[FAILED] else []
        print(f"pictures:   {', '.join(counts)}")
        judged = sum(self.right.values())
        if judged:
            print(f"right:      {self.right[True]} of {judged} ({100 * self.right[True] / judged:.1f} %)")
        if profile:
            lines = [f"{seconds:9.2f} s  {what}" for what, seconds in self.run.watch.seconds.items()]
            print(*headed_lines("time", [*lines, "(of all threads together)"]), sep="\n")
        folder = self.run.folder.of_shard(self.run.options.shard)
        print(f"written:    {folder / INDEX}" + ("" if self.run.options.shard else " and what it names"))
        if self.counts[FAILED]:
            print(f"error: {self.counts[FAILED]} of {self.share} pictures failed; --retry-failed does them again",
                  file=sys.stderr)  # fmt: skip

    def _count(self, row: Row) -> None:
        self.counts[row["status"]] += 1
        if row.get("right") is not None:
            self.right[row["right"]] += 1

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


@contextmanager
def _logged_above_bar() -> Iterator[None]:
    """Show what the explainer has to say of its own accord, such as that the memory is too small, above the bar."""
    from tqdm import tqdm

    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: tqdm.write(f"note: {record.getMessage()}", file=sys.stderr)  # type: ignore[method-assign]
    logger = logging.getLogger("pytorch_grad_cam.runs")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _merge(folder: RunFolder) -> int:
    if folder.manifest() is None:
        raise FileNotFoundError(f"{folder.path} is no run: it has no manifest.json")
    with folder.writing(None):
        count = merge(folder)
    print(f"written:    {folder.path / INDEX}, {count} pictures")
    return 0


def _merge_if_last(folder: RunFolder) -> None:
    """Join the shares if none is missing any more; two processes may end at once, of which one does it."""
    missing = missing_shards(folder)
    if missing:
        print(f"shares:     {len(missing)} of {missing[0].count} are not complete yet; then --merge {folder.path}")
        return
    try:
        _merge(folder)
    except RuntimeError:  # the other one is at it
        print("shares:     all are complete; another process is joining them")
