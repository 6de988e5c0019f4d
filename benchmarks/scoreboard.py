"""The scoreboard: every method by localisation, faithfulness, robustness, randomisation and cost, with intervals.

`python -m benchmarks.scoreboard` (`make scoreboard`) writes `docs/scoreboard.md` and its plots in `docs/scoreboard/`:
of the bundled network anywhere, offline; with `--shared` also of the networks in `../shared`. What was measured is kept
in `build/scoreboard`, so a run that was stopped goes on where it was; give the same options.
"""

from __future__ import annotations

import argparse
import logging
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks import networks
from benchmarks.scoreboard_cases import BATCH, OF_OBJECTS, QUICK, Board, Part, Sizes, boards
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.evaluation.candidates import METHOD
from pytorch_grad_cam.evaluation.comparison import Comparison
from pytorch_grad_cam.evaluation.experiment import compare
from pytorch_grad_cam.evaluation.families import parameters_of
from pytorch_grad_cam.evaluation.rows import Row
from pytorch_grad_cam.evaluation.scatter import Axis, Interval, Point, scatter
from pytorch_grad_cam.evaluation.statistics import CONFIDENCE, RESAMPLES, intervals
from pytorch_grad_cam.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
ANCHOR = "gradcam"  # whom the others are compared with in pairs
log = logging.getLogger(__name__)

_SAID_EVERY = 60.0  # seconds
_KEPT_SECONDS = 0.001  # a map that took less was in the journal, or is a reference map that says little


@dataclass(frozen=True)
class Measured:
    """A part of a table with its comparison."""

    part: Part
    comparison: Comparison

    @property
    def rows(self) -> Sequence[Row]:
        return self.comparison.rows

    def most(self, metric: str) -> int:
        """Return how many pictures were judged of the row of which most were."""
        return max(self.comparison.interval(row.id, metric).judged for row in self.rows)


class Remaining:
    """Says once a minute how far a comparison is and how long it will still take; what a journal had does not count.

    Args:
        name: of the comparison.
        clock: seconds from some moment on.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.clock = name, clock
        self.last = self.said = clock()
        self.done = self.measured = 0
        self.seconds = 0.0
        log.info("%s", name)

    def __call__(self, done: int, total: int | None) -> None:
        """Take the number of maps that are done, and of all."""
        now = self.clock()
        took, count = now - self.last, done - self.done
        self.last, self.done = now, done
        if took / count > _KEPT_SECONDS:
            self.measured, self.seconds = self.measured + count, self.seconds + took
        if total is None or not self.measured or now - self.said < _SAID_EVERY:
            return
        self.said = now
        minutes = (total - done) * self.seconds / self.measured / 60
        log.info("%s: %d of %d maps, about %.0f minutes left", self.name, done, total, minutes)


def measure(board: Board, work: Path, seed: int) -> list[Measured]:
    """Measure the parts of a table, or what is missing of them."""
    model, found = board.network(), []
    for part in board.parts:
        if not part.methods or not part.metrics:
            continue
        batches = part.images()
        comparison = compare(
            model,
            batches,
            methods=list(part.methods),
            metrics=list(part.metrics),
            score=part.score,  # type: ignore[arg-type]
            batch_size=BATCH,
            seed=seed,
            journal=work / f"{board.name}_{part.name}.journal",
            name=board.title,
            categories=board.categories,
            progress=Remaining(f"{board.name}: {part.name}"),
            total=sum(len(batch.inputs) for batch in batches),
        )
        found.append(Measured(part, comparison))
    return found


def document(measured: Sequence[tuple[Board, list[Measured]]], command: str, plots: Mapping[str, str]) -> str:
    """Write the page."""
    lines = [
        "# Scoreboard",
        "",
        f"Written by `{command}` ({_machine()}).",
        "",
        f"Each cell: the mean over the pictures and its bootstrap interval ({CONFIDENCE:.0%}, {RESAMPLES} resamples);",
        "*of n* where another number of pictures than the heading says was judged. Arrows: more (↑) or less (↓) is",
        "better. Layers are the automatic choice, methods have their defaults. Reference maps, in italics, know no",
        "network: a method that does not beat them has shown nothing.",
        "[Which method?](which_method.md) says what follows from these numbers.",
        "",
    ]
    for board, parts in measured:
        lines += [f"## {board.title}", "", board.about, "", *_table(parts), ""]
        lines += [f"![{name}](scoreboard/{name}.svg)" for name in plots if name.startswith(f"{board.name}_")]
        lines += ["", *_against_anchor(parts), *_unmeasured(parts), *_situations(parts)]
    return "\n".join([*lines, *_parameters(measured)]).rstrip() + "\n"


def _machine() -> str:
    return (
        f"PyTorch {torch.__version__.partition('+')[0]}, {platform.machine()}, {torch.get_num_threads()} CPU thread(s)"
    )


# --- one table


def _columns(parts: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(name for each in parts for name in each.comparison.metrics))


def _first_with(parts: Sequence[Measured], metric: str) -> Measured:
    return next(each for each in parts if metric in each.comparison.metrics)


def _table(parts: Sequence[Measured]) -> Iterator[str]:
    columns = _columns(parts)
    heads = []
    for name in columns:
        holder = _first_with(parts, name)
        sign = {True: " ↑", False: " ↓", None: ""}[holder.comparison.metrics[name].higher_is_better]
        heads.append(f"{name.replace('_', ' ')}{sign} (n = {holder.most(name)})")
    yield "| method | " + " | ".join([*heads, "passes", "ms"]) + " |"
    yield "| --- " * (len(columns) + 3) + "|"
    first = parts[0].comparison
    for name in _ordered(parts, columns[0]):
        cells = [_cell(parts, name, metric) for metric in columns]
        yield "| " + " | ".join([_title(parts, name), *cells, *_costs(parts, name)]) + " |"
    yield ""
    yield "Passes: forward + backward per map, those that begin behind the layer counted as well. ms: per map, the"
    yield f"median of the batches of {first.settings['batch_size']}; a hint only, for other programs ran beside."


def _ordered(parts: Sequence[Measured], metric: str) -> list[str]:
    """Return the names of all rows, the best by the first metric first, reference maps at their place."""
    higher = parts[0].comparison.metrics[metric].higher_is_better is not False
    names = dict.fromkeys(row.method for each in parts for row in each.rows if row.maps)

    def place(name: str) -> float:
        value = next(_intervals(parts, name, metric), (math.nan,))[0]
        return math.inf if math.isnan(value) else -value if higher else value

    return sorted(names, key=place)


def _holding(parts: Sequence[Measured], name: str, metric: str = "") -> Iterator[tuple[Comparison, Row]]:
    for each in parts:
        if not metric or metric in each.comparison.metrics:
            for row in each.rows:
                if row.method == name and row.maps:
                    yield each.comparison, row


def _intervals(parts: Sequence[Measured], name: str, metric: str) -> Iterator[tuple[float, float, float, int]]:
    """Yield what is known of a row by a metric: mean, ends of the interval, pictures; in each part that has both."""
    for comparison, row in _holding(parts, name, metric):
        found = comparison.interval(row.id, metric)
        if found.judged:
            yield found.value, found.low, found.high, found.judged


def _cell(parts: Sequence[Measured], name: str, metric: str) -> str:
    known = next(_intervals(parts, name, metric), None)
    if known is None:
        return "-"
    value, low, high, judged = known
    less = f" of {judged}" if judged != _first_with(parts, metric).most(metric) else ""
    ends = "" if math.isnan(low) else f" ({low:.2f} to {high:.2f})"
    return f"{value:.2f}{ends}{less}"


def _title(parts: Sequence[Measured], name: str) -> str:
    _, row = next(_holding(parts, name))
    return f"`{name}`" if row.kind == METHOD else f"*{name}*"


def _costs(parts: Sequence[Measured], name: str) -> tuple[str, str]:
    _, row = next(_holding(parts, name))
    if row.kind != METHOD:
        return "0", "-"
    passes = (row.forward or 0) + (row.backward or 0)
    return f"{passes:.0f}" if passes > 9.5 else f"{passes:.3g}", f"{row.milliseconds:.0f}" if row.milliseconds else "-"


def _against_anchor(parts: Sequence[Measured]) -> Iterator[str]:
    """Say who is better and worse than the anchor, where the interval of the paired difference leaves out 0."""
    comparison = parts[0].comparison
    if not any(row.method == ANCHOR for row in comparison.methods):
        return
    yield f"Beside `{ANCHOR}`, on the same pictures, where the interval of the paired difference leaves out 0:"
    yield ""
    for metric in comparison.metrics:
        better: dict[bool | None, list[str]] = {True: [], False: [], None: []}
        for row in comparison.methods:
            if row.method != ANCHOR:
                better[comparison.better(row.id, ANCHOR, metric)].append(row.method)
        words = [
            f"{said} {_names(better[sign])}" for sign, said in ((True, "better"), (False, "worse")) if better[sign]
        ]
        undecided = f"not decided: {_names(better[None])}" if better[None] else ""
        yield f"- {metric.replace('_', ' ')}: {'; '.join(filter(None, [*words, undecided]))}"
    yield ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _unmeasured(parts: Sequence[Measured]) -> Iterator[str]:
    """Say which methods made no maps here, and why."""
    reasons = {row.method: row.reason for each in parts for row in each.rows if row.reason and not row.maps}
    if reasons:
        yield from (f"- no maps of `{name}`: {reason}" for name, reason in reasons.items())
        yield ""


def _situations(parts: Sequence[Measured]) -> Iterator[str]:
    """Write the means of the metrics of objects in groups of pictures, the best of all pictures first."""
    each = parts[0]
    if each.part.groups is None:
        return
    groups = each.part.groups()
    for metric in OF_OBJECTS:
        yield f"### {metric.replace('_', ' ').capitalize()} by situation"
        yield ""
        yield "| method | " + " | ".join(f"{name} (n = {sum(group)})" for name, group in groups.items()) + " |"
        yield "| --- " * (len(groups) + 1) + "|"
        for name in _ordered([each], metric):
            row = next(row for row in each.rows if row.method == name)
            cells = []
            for group in groups.values():
                (found,) = intervals(
                    row.values[metric][np.array(group)][:, None], seed=each.comparison.settings["seed"]
                )
                cells.append(f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" if found.judged else "-")
            yield "| " + " | ".join([_title([each], name), *cells]) + " |"
        yield ""


def _parameters(measured: Sequence[tuple[Board, list[Measured]]]) -> Iterator[str]:
    yield from ("## Parameters", "", "| metric | parameters | source |", "| --- | --- | --- |")
    metrics = {
        name: metric for _, parts in measured for each in parts for name, metric in each.comparison.metrics.items()
    }
    for name, metric in metrics.items():
        parameters = ", ".join(f"{key} = {value}" for key, value in parameters_of(metric).items()) or "none"
        yield f"| {name.replace('_', ' ')} | {parameters} | {metric.source} |"
    yield ""
    yield "| comparison | pictures | methods | settings |"
    yield "| --- | --- | --- | --- |"
    for board, parts in measured:
        for each in parts:
            settings = ", ".join(f"{key} = {value}" for key, value in each.comparison.settings.items())
            counts = f"{len(each.comparison.images)} | {len(each.part.methods)}"
            yield f"| {board.name}, {each.part.name} | {counts} | {settings} |"


# --- plots


def plots_of(board: Board, parts: Sequence[Measured]) -> dict[str, str]:
    """Draw symmetric relevance gain against localisation, where it is known, and against passes."""
    columns = _columns(parts)
    upward = parts[0].comparison.metrics["symmetric_relevance_gain"]
    y = Axis("symmetric relevance gain", upward.higher_is_better)
    pairs = {"passes": Axis("passes per map", cost=True)}
    if "energy_to_chance" in columns:
        pairs["localisation"] = Axis("energy to chance")
    found = {}
    for short, x in pairs.items():
        points = [point for name in _ordered(parts, columns[0]) if (point := _point(parts, name, x.cost)) is not None]
        if points:
            found[f"{board.name}_{short}"] = scatter(points, x, y, standalone=True)
    return found


def _point(parts: Sequence[Measured], name: str, cost: bool) -> Point | None:
    along = next(_intervals(parts, name, "symmetric_relevance_gain"), None)
    _, row = next(_holding(parts, name))
    if along is None:
        return None
    y = Interval(*along[:3])
    if cost:
        passes = (row.forward or 0) + (row.backward or 0)
        return Point(name, Interval(passes, passes, passes), y) if row.kind == METHOD and passes else None
    across = next(_intervals(parts, name, "energy_to_chance"), None)
    return None if across is None else Point(name, Interval(*across[:3]), y, row.kind != METHOD)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="every method by localisation, faithfulness, robustness and cost")
    usual = Sizes()
    parser.add_argument("--quick", action="store_true", help="a few pictures, to see that it works")
    parser.add_argument("--shared", action="store_true", help="also the networks in ../shared")
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="only these, e.g. shapes vit_cifar10")
    parser.add_argument(
        "--scenes", type=int, default=usual.scenes, help="test scenes, of which every object is asked for"
    )
    parser.add_argument("--dear", type=int, default=usual.dear, help="scenes for methods of a hundred passes and more")
    parser.add_argument("--again", type=int, default=usual.again, help="pictures where maps are made again and again")
    parser.add_argument("--photos", type=int, default=usual.photos, help="questions about photos, with --shared")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), metavar="NAME", help="default: all that fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "scoreboard", help="keeps what was measured")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "scoreboard.md", help="the plots lie beside it")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)
    torch.set_num_threads(options.threads)
    if options.shared and not networks.SHARED.is_dir():
        parser.error(f"{networks.SHARED} is not there; leave out --shared (benchmarks/real_data.md says what it is)")
    sizes = QUICK if options.quick else Sizes(options.scenes, options.dear, options.again, options.photos)
    chosen = boards(sizes, options.shared, options.methods)
    if unknown := set(options.only or ()) - {board.name for board in chosen}:
        parser.error(f"--only {' '.join(unknown)}: there are {', '.join(board.name for board in chosen)}")
    chosen = [board for board in chosen if not options.only or board.name in options.only]
    measured = [(board, measure(board, options.work, options.seed)) for board in chosen]
    plots = {name: plot for board, parts in measured for name, plot in plots_of(board, parts).items()}
    command = " ".join(["python -m benchmarks.scoreboard", *_given(parser, options)])
    for name, plot in plots.items():
        write_bytes(options.output.parent / "scoreboard" / f"{name}.svg", plot.encode())
    write_bytes(options.output, document(measured, command, plots).encode())
    print(f"wrote {options.output}")


def _given(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Iterator[str]:
    """Yield the options that decide on the numbers and were not left as they are."""
    for name, value in vars(options).items():
        if name in ("work", "output") or value == parser.get_default(name):
            continue
        values = value if isinstance(value, list) else [] if value is True else [value]
        yield " ".join([f"--{name}", *map(str, values)])


if __name__ == "__main__":
    main()
