"""A run over any number of pictures: explained in batches, kept in a folder, continued where it was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, islice
from threading import Lock
from typing import Any

import torch

from pytorch_grad_cam import __version__
from pytorch_grad_cam.common.limits import MAX_PIXELS
from pytorch_grad_cam.data.files import make_durable, write_bytes
from pytorch_grad_cam.data.sources.item import Item, Source
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture, map_records, seen_record
from pytorch_grad_cam.runs.explainer import Explainer, Seen
from pytorch_grad_cam.runs.file_state import digest
from pytorch_grad_cam.runs.fingerprint import fingerprint
from pytorch_grad_cam.runs.picture_files import FileNames, PictureFiles, record_path
from pytorch_grad_cam.runs.prepared_picture import PreparedPicture
from pytorch_grad_cam.runs.run_folder import RunFolder, files_of
from pytorch_grad_cam.runs.run_index import Row, json_line
from pytorch_grad_cam.runs.runner import BatchRunner
from pytorch_grad_cam.runs.selection import Selection
from pytorch_grad_cam.runs.shards import Shard
from pytorch_grad_cam.targets.class_choices import class_name
from pytorch_grad_cam.targets.class_names import find_class

DONE, FAILED, SKIPPED = "done", "failed", "skipped"
Report = Callable[[Sequence[Row]], None]


@dataclass(frozen=True)
class RunOptions:
    """What a run does with the pictures.

    Attributes:
        files: what is kept of each.
        only: conditions on what the network sees; where there are some, a picture is explained if it meets all.
        limit: take the first so many pictures; None: all.
        max_pixels: that a picture may have.
        shard: the share of the run that this process does; None: all of it.
        workers: threads that read and write; None: one per core, at least two.
        retry_failed: do again what failed.
    """

    files: PictureFiles = field(default_factory=lambda: PictureFiles(("overlay",)))
    only: tuple[Selection, ...] = ()
    limit: int | None = None
    max_pixels: int = MAX_PIXELS
    shard: Shard | None = None
    workers: int | None = None
    retry_failed: bool = False


@dataclass(frozen=True)
class _Read:
    """A picture of the source, read."""

    position: int
    picture: PreparedPicture
    label: int | None  # what it shows, as a class of the network


@dataclass(frozen=True)
class _Outcome:
    """What became of a picture."""

    seen: Seen
    label: int | None
    found: ExplainedPicture | None  # None if it was not to be explained
    seconds: float


@dataclass(frozen=True)
class DoneBatch:
    """What became of a batch, with the files of its pictures, which are not written yet."""

    rows: list[Row]
    times: list[Row]
    files: dict[str, bytes]  # by path in the run's folder


class Stopwatch:
    """Adds up the seconds that each kind of work takes, in all threads together."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Stopwatch], tuple[()]]:
        """Another process measures anew."""
        return Stopwatch, ()

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Count the block as work of a kind."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start


class DataSetRun:
    """Explains the pictures of a source and keeps what was found in a folder.

    Batches are cut by the position of the pictures in the source, whoever does them and when: a run that was
    interrupted, or shared out, gives the same maps as one that was not.

    Args:
        explainer: explains them.
        source: where they come from.
        folder: where everything is kept.
        options: what is done.

    Raises:
        ValueError: if there are no pictures, or two have the same id.
    """

    def __init__(self, explainer: Explainer, source: Source, folder: RunFolder, options: RunOptions) -> None:
        self.explainer, self.folder, self.options = explainer, folder, options
        self.items: list[Item] = list(islice(source, options.limit))
        if not self.items:
            raise ValueError(f"{source.description} has no pictures")
        self.watch = Stopwatch()
        self._description = source.description
        self._names = FileNames(item.id for item in self.items)
        self._batch_size = explainer.batch_size
        self._rows: dict[int, Row] = {}  # of pictures whose files are written
        self._begun = False  # whether a picture could be explained, now or before an interruption

    @property
    def _loaded(self) -> LoadedModel:
        return self.explainer.ready.loaded

    def on(self, explainer: Explainer) -> DataSetRun:
        """Return the same run with another explainer of the same network, as on another device, to do batches there."""
        other = copy(self)
        other.explainer, other.watch, other._rows = explainer, Stopwatch(), {}
        other.__dict__.pop("_index", None)  # of whoever keeps the batches
        other.__dict__.pop("_times", None)
        return other

    def settings(self) -> dict[str, Any]:
        """Return all that decides on what is found, as the manifest has it."""
        explained = asdict(self.explainer.options)
        explained.pop("batch_size")
        explained["layers"] = explained["layers"] and [str(layer) for layer in explained["layers"]]
        listed = "\n".join(repr((item.id, item.label, item.target)) for item in self.items)
        return {
            "model": self._loaded.source,
            "weights": fingerprint(self._loaded),
            "preprocessing": asdict(self._loaded.preprocessing),
            **explained,
            "batch_size": self._batch_size,
            "save": asdict(self.options.files),
            "only": [asdict(each) for each in self.options.only],
            "source": {
                "description": self._description,
                "pictures": len(self.items),
                "digest": digest(listed.encode(errors="backslashreplace")),
            },
            "max_pixels": self.options.max_pixels,
            "versions": {"pytorch_grad_cam": __version__, "torch": torch.__version__},
        }

    def mine(self) -> list[int]:
        """Return the positions of the pictures that are this process's share."""
        shard = self.options.shard
        return [
            position for position in range(len(self.items)) if shard is None or shard.has(position // self._batch_size)
        ]

    def to_do(self) -> list[int]:
        """Return the positions of whole batches that are not done, or of which a file is missing."""
        self._index, self._times = self.folder.index(self.options.shard), self.folder.times(self.options.shard)
        self._begun = not {DONE, SKIPPED}.isdisjoint(self._index.statuses().values())
        done = {row["position"] for row in self._index.rows() if self._is_done(row)}
        again = {position // self._batch_size for position in self.mine() if position not in done}
        return [position for position in self.mine() if position // self._batch_size in again]

    def run(self, report: Report) -> None:
        """Do all that is not done yet. The caller holds the folder's lock, and has claimed it.

        Args:
            report: is told of each batch, in order, when it is done.

        Raises:
            Exception: if no picture at all can be explained, why not the first; what writing raises.
        """
        positions = self.to_do()  # which opens the index

        def commit(outcomes: Sequence[tuple[int, _Outcome | Exception]]) -> None:
            rows = [self._committed(position, outcome) for position, outcome in outcomes]
            self._commit(rows, [_time_row(position, outcome) for position, outcome in outcomes])
            report(rows)

        runner = BatchRunner(
            self._read, self._explain, self._write, commit, self._batch_size, self.options.workers, self._gather
        )
        runner.run(positions)
        self.put_in_order()

    def batches_to_do(self) -> list[list[int]]:
        """Return the positions of `to_do` by batches, for whoever hands out batches himself: see `done_batch`."""
        return [list(batch) for _, batch in groupby(self.to_do(), lambda position: position // self._batch_size)]

    def done_batch(self, positions: Sequence[int]) -> DoneBatch:
        """Do one batch, in any process that this was pickled into, and write nothing: `keep` does, where the run is.

        Raises:
            Exception: as `run` does.
        """
        read: dict[int, _Read | Exception] = {}
        for position in positions:
            try:
                read[position] = self._read(position)
            except Exception as error:  # a damaged file may raise anything
                read[position] = error
        good = [each for each in read.values() if isinstance(each, _Read)]
        explained = dict(zip([each.position for each in good], self._explain(good) if good else (), strict=True))
        done = DoneBatch([], [], {})
        for position, prepared in read.items():
            outcome = prepared if isinstance(prepared, Exception) else explained[position]
            row, files = (
                (self._row(position, outcome), {})
                if isinstance(outcome, Exception)
                else self._with_files(position, outcome)
            )
            done.rows.append(row)
            done.times.append(_time_row(position, outcome))
            done.files.update(files)
        return done

    def keep(self, done: DoneBatch) -> None:
        """Write what `done_batch` returned, after `batches_to_do`. The caller holds the folder's lock."""
        self._write_files(done.files)
        self._commit(done.rows, done.times)

    def put_in_order(self) -> None:
        """Write the index anew, in the order of the pictures, if the batches came in another."""
        for index in (self._index, self._times):
            index.put_in_order()

    def _is_done(self, row: Row) -> bool:
        if row["status"] == FAILED and self.options.retry_failed:
            return False
        return all((self.folder.path / file).is_file() for file in files_of(row))

    def _read(self, position: int) -> _Read:
        item = self.items[position]
        with self.watch("decode"):
            image = item.read(self.options.max_pixels)
        with self.watch("prepare"):
            target = None if item.target is None else find_class(str(item.target), self._loaded.categories)
            return _Read(position, self.explainer.prepare(image, target), self._label(item))

    def _gather(self, pictures: Sequence[_Read]) -> list[_Read]:
        with self.watch("prepare"):
            found = self.explainer.gather([each.picture for each in pictures])
        return [replace(read, picture=picture) for read, picture in zip(pictures, found, strict=True)]

    def _label(self, item: Item) -> int | None:
        if item.label is None:
            return None
        try:
            return find_class(str(item.label), self._loaded.categories)
        except ValueError:  # a name of another set of classes: it is kept as it is
            return None

    def _explain(self, pictures: Sequence[_Read]) -> list[_Outcome | Exception]:
        """Explain a batch; where that fails, picture by picture, to find out which one it is."""
        start = time.perf_counter()
        try:
            with self.watch("network and maps"):
                found: list[tuple[Seen, ExplainedPicture | None] | Exception] = [*self._chosen(pictures)]
        except Exception as error:
            found = self._one_by_one(pictures, error)
        self._begun = self._begun or any(not isinstance(each, Exception) for each in found)
        each_took = (time.perf_counter() - start) / max(len(pictures), 1)
        return [
            one if isinstance(one, Exception) else _Outcome(one[0], picture.label, one[1], each_took)
            for picture, one in zip(pictures, found, strict=True)
        ]

    def _one_by_one(self, pictures: Sequence[_Read], error: Exception) -> list[Any]:
        found: list[Any] = []
        for picture in pictures:
            try:
                found += self._chosen([picture])
            except Exception as own:
                found.append(own)
        if not self._begun and all(isinstance(each, Exception) for each in found):
            raise error  # it will be no better with the next ones
        return found

    def _chosen(self, pictures: Sequence[_Read]) -> list[tuple[Seen, ExplainedPicture | None]]:
        """Explain those pictures of a batch that are wanted."""
        if not self.options.only:
            return [(found.predicted, found) for found in self.explainer([each.picture for each in pictures])]
        seen = self.explainer.predict([each.picture for each in pictures])
        categories = self.explainer.ready.loaded.categories
        wanted = [
            all(condition.takes(predicted, each.label, categories) for condition in self.options.only)
            for each, predicted in zip(pictures, seen, strict=True)
        ]
        chosen = [each.picture for each, is_wanted in zip(pictures, wanted, strict=True) if is_wanted]
        explained = iter(self.explainer(chosen))
        return [
            (predicted, next(explained) if is_wanted else None)
            for predicted, is_wanted in zip(seen, wanted, strict=True)
        ]

    def _write(self, position: int, outcome: _Outcome) -> None:
        """Draw and write the files of a picture, and keep what the index will say of it."""
        self._rows[position], files = self._with_files(position, outcome)
        self._write_files(files)

    def _write_files(self, files: Mapping[str, bytes]) -> None:
        self.folder.check_there()
        with self.watch("write"):
            for path, content in files.items():
                write_bytes(self.folder.path / path, content, sole_writer=True)

    def _commit(self, rows: Sequence[Row], times: Sequence[Row]) -> None:
        """Vouch for pictures whose files are written."""
        self.folder.check_there()
        with self.watch("index"):
            make_durable(self.folder.path, (str(self.folder.path / file) for row in rows for file in files_of(row)))
            self._index.add(rows)
            self._times.add(times)

    def _with_files(self, position: int, outcome: _Outcome) -> tuple[Row, dict[str, bytes]]:
        """Draw a picture's files; return what the index says of it, and them."""
        row = self._row(position, outcome)
        if outcome.found is None:
            return row, {}
        name = self._names[self.items[position].id]
        with self.watch("draw"):
            files, kept = self.options.files.of(name, outcome.found)
        maps = [each | more for each, more in zip(row["maps"], kept.pop("maps", ()), strict=False)]
        row |= kept | ({"maps": maps} if maps else {})
        if "json" in self.options.files.kinds:
            row["record"] = record_path(name)
            files[row["record"]] = json_line(row)
        return row, files

    def _row(self, position: int, outcome: _Outcome | Exception) -> Row:
        """Return what the index says of a picture, but for its files."""
        item, categories = self.items[position], self.explainer.ready.loaded.categories
        row: Row = {"position": position, "id": item.id, "origin": item.origin, "label": item.label}
        if isinstance(outcome, Exception):
            return row | {"status": FAILED, "error": in_one_line(outcome)}
        top = outcome.seen[0][0] if outcome.seen else None
        row["label"] = item.label if outcome.label is None else class_name(outcome.label, categories) or item.label
        row["right"] = None if outcome.label is None or top is None else top == outcome.label
        row["predicted"] = seen_record(outcome.seen, categories)
        if outcome.found is None:
            return row | {"status": SKIPPED}
        height, width = outcome.found.image.shape[:2]
        return row | {"status": DONE, "height": height, "width": width, "maps": map_records(outcome.found)}

    def _committed(self, position: int, outcome: _Outcome | Exception) -> Row:
        return self._rows.pop(position, None) or self._row(position, outcome)


def _time_row(position: int, outcome: _Outcome | Exception) -> Row:
    failed = isinstance(outcome, Exception)
    milliseconds = None if isinstance(outcome, Exception) else round(1000 * outcome.seconds, 3)
    return {"position": position, "status": FAILED if failed else DONE, "ms": milliseconds}
