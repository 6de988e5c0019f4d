"""The search for a method of our own: candidates beside GradCAM on two halves of the pictures, in pairs.

`python -m benchmarks.search` writes `docs/own_method.md`. What was measured is kept in `build/search`, so a run that
was stopped goes on where it was; give the same options. All candidates are measured on the development half. Those with
the largest number of measures better less measures worse are measured on the other half, once, and the rule of
`qualifies`, written before anything was measured, says whether there is a method.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import networks
from benchmarks.candidates import ANCHOR, CANDIDATES, ROUNDS, GradCAMLast, OfStages
from benchmarks.search_cases import HALVES, SEED, Setting, settings
from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.engine.layers import STAGES
from pytorch_grad_cam.evaluation.comparison import Comparison
from pytorch_grad_cam.evaluation.experiment import compare
from pytorch_grad_cam.evaluation.statistics import CONFIDENCE, RESAMPLES, Interval, intervals

ROOT = Path(__file__).resolve().parents[1]
CONCLUSION = ROOT / "benchmarks" / "search_conclusion.md"
FINALISTS = 3
_HALF_WIDTH = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cell:
    """A candidate beside GradCAM, by one measure in one setting; positive differences are better.

    Attributes:
        title: of the setting.
        metric: its name.
        anchor: what GradCAM has.
        found: the paired difference, of pictures.
    """

    title: str
    metric: str
    anchor: float
    found: Interval


def measure(setting: Setting, half: int, names: Sequence[str], times: float, work: Path, part: str = "") -> Comparison:
    """Measure candidates in one setting on one half, or what is missing of it; ``part`` is of the journal's name."""
    model = networks.build(setting.network)
    batches = setting.images(half, times)
    log.info("%s, %s", HALVES[half], setting.title)
    found = compare(
        model,
        batches,
        {name: CANDIDATES[name] for name in names},
        layers=[stages_of(model, batches[0].inputs[:1])],
        metrics=list(setting.metrics),
        score=setting.score,
        batch_size=16,
        seed=SEED,
        journal=work / f"{setting.name}_{half}{part}.journal",
        name=setting.title,
        progress=False,
    )
    OfStages.forget()
    return found


def stages_of(model: nn.Module, image: Tensor) -> list[str]:
    """Return the layers that all candidates look at, one per resolution, chosen on one image."""
    cam = HiResCAM(model, STAGES)
    return list(cam.explain(image, 0).layers)


def cells(comparison: Comparison, title: str, name: str) -> list[Cell]:
    """Compare one candidate with GradCAM by every measure; questions about one picture are drawn together."""
    pictures = np.array([int(str(image.id).split(":")[0]) for image in comparison.images])
    rows = {row.method: row for row in comparison.rows}
    found = []
    for metric, kind in comparison.metrics.items():
        sign = 1 if kind.higher_is_better else -1
        apart = sign * (rows[name].values[metric] - rows[ANCHOR].values[metric])
        (interval,) = intervals(apart[:, None], seed=SEED, groups=pictures)
        found.append(Cell(title, metric.split("(")[0], float(np.nanmean(rows[ANCHOR].values[metric])), interval))
    return found


def counted(of_candidate: Sequence[Cell]) -> tuple[int, int, int]:
    """Return how many differences are better, open and worse."""
    signs = [cell.found.above for cell in of_candidate]
    return signs.count(True), signs.count(None), signs.count(False)


def finalists(table: Mapping[str, Sequence[Cell]]) -> list[str]:
    """Return the candidates with the most measures better less worse; of equal ones those with fewer worse."""

    def order(name: str) -> tuple[int, int]:
        better, _, worse = counted(table[name])
        return worse - better, worse

    return sorted((name for name in table if name != ANCHOR), key=order)[:FINALISTS]


def qualifies(of_candidate: Sequence[Cell]) -> bool:
    """Say whether a candidate is worse in nothing and better in more than half of what was measured."""
    better, _, worse = counted(of_candidate)
    return worse == 0 and better > len(of_candidate) / 2


def pooled(of_candidate: Sequence[Cell]) -> dict[str, Interval]:
    """Return per measure the mean of the settings' differences, each setting counting as much, and its interval.

    The settings share no network and no question, so their standard errors add as squares.
    """
    found = {}
    for metric in dict.fromkeys(cell.metric for cell in of_candidate):
        of_metric = [cell.found for cell in of_candidate if cell.metric == metric]
        value = float(np.mean([one.value for one in of_metric]))
        errors = np.array([(one.high - one.low) / (2 * _HALF_WIDTH) for one in of_metric])
        half = _HALF_WIDTH * float(np.sqrt((errors**2).sum())) / len(of_metric)
        found[metric] = Interval(value, value - half, value + half, sum(one.judged for one in of_metric))
    return found


def cost(name: str, network: str, shape: Sequence[int]) -> float:
    """Return how much longer than GradCAM's an explanation of one image takes: the ratio of medians of 15.

    Of a candidate that looks at the last layer only, no other one is recorded here.
    """
    model, image = networks.build(network), torch.rand(1, *shape, generator=torch.Generator().manual_seed(SEED))
    kind, anchor = CANDIDATES[name], GradCAM(model)
    only = list(anchor.explain(image, 1).layers) if issubclass(kind, GradCAMLast) else None
    cams = kind(model, only), anchor
    took: list[list[float]] = [[], []]
    for _ in range(17):  # the first two choose layers and warm up
        for cam, times in zip(cams, took, strict=True):
            OfStages.forget()
            start = time.process_time()
            cam.explain(image, 1)
            times.append(time.process_time() - start)
    return statistics.median(took[0][2:]) / statistics.median(took[1][2:])


def costs_of(names: Sequence[str]) -> dict[str, float]:
    """Return the larger of what an explanation costs in the built-in network and, where it is, in MobileNetV2."""
    where = {"shapes": (3, 128, 128)} | ({"mobilenet_v2": (3, 225, 225)} if networks.SHARED.is_dir() else {})
    return {name: max(cost(name, network, shape) for network, shape in where.items()) for name in names}


# --- the page


def _short(found: Interval) -> str:
    mark = {True: "**", False: "*", None: ""}[found.above]
    return f"{mark}{found.value:+.3f}{mark} ({found.low:+.3f} to {found.high:+.3f})"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def summary(table: Mapping[str, Sequence[Cell]]) -> list[str]:
    """Write a line for each candidate: how many differences have which sign, and the means per measure."""
    metrics = list(dict.fromkeys(cell.metric for cell in next(iter(table.values()))))
    lines = ["| candidate | better / open / worse | " + " | ".join(map(_plain, metrics)) + " |"]
    lines.append("| --- " * (len(metrics) + 2) + "|")
    for name, of_candidate in table.items():
        means = pooled(of_candidate)
        counts = " / ".join(map(str, counted(of_candidate)))
        lines.append(f"| {name} | {counts} | " + " | ".join(_short(means[metric]) for metric in metrics) + " |")
    return lines


def details(table: Mapping[str, Sequence[Cell]]) -> list[str]:
    """Write a table for each setting: GradCAM's means, and the candidates' differences."""
    first = next(iter(table.values()))
    lines = []
    for title in dict.fromkeys(cell.title for cell in first):
        of_title = [cell for cell in first if cell.title == title]
        lines += [f"### {title}", ""]
        heads = [f"{_plain(cell.metric)} (n = {cell.found.judged})" for cell in of_title]
        lines += ["| | " + " | ".join(heads) + " |", "| --- " * (len(heads) + 1) + "|"]
        lines.append("| GradCAM | " + " | ".join(f"{cell.anchor:.3f}" for cell in of_title) + " |")
        for name, of_candidate in table.items():
            cells_here = [_short(cell.found) for cell in of_candidate if cell.title == title]
            lines.append(f"| {name} | " + " | ".join(cells_here) + " |")
        lines.append("")
    return lines


def definitions() -> list[str]:
    """Write what each candidate is."""
    lines = ["| candidate | what it is |", "| --- | --- |"]
    for name, kind in CANDIDATES.items():
        if name != ANCHOR:
            said = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
            lines.append(f"| {name} | {said} |")
    return lines


def verdict(table: Mapping[str, Sequence[Cell]], costs: Mapping[str, float]) -> list[str]:
    """Say of each finalist on the held-out half whether it qualifies, and why not."""
    lines = []
    for name, of_candidate in table.items():
        better, still_open, worse = counted(of_candidate)
        lost = [f"{cell.title}, {_plain(cell.metric)}" for cell in of_candidate if cell.found.above is False]
        holds = "qualifies" if qualifies(of_candidate) else "does not qualify"
        where = f". Worse: {'; '.join(lost)}" if lost else ""
        lines.append(
            f"- **{name}** {holds}: better in {better}, open in {still_open}, worse in {worse} of "
            f"{len(of_candidate)}{where}. An explanation takes {costs[name]:.2f} times GradCAM's time."
        )
    return lines


def headline(table: Mapping[str, Sequence[Cell]]) -> str:
    """Say whether there is a method, from the held-out half alone."""
    found = [name for name, of_candidate in table.items() if qualifies(of_candidate)]
    if found:
        return f"**Found: {', '.join(found)}.**"
    return f"**None does.** {len(CANDIDATES) - 1} definitions were tried, and none stands on the held-out half."


def document(
    command: str,
    development: Mapping[str, Sequence[Cell]],
    held_out: Mapping[str, Sequence[Cell]],
    costs: Mapping[str, float],
    conclusion: str,
) -> str:
    """Write the page."""
    lines = [
        "# A method of our own?",
        "",
        f"Written by `{command}`.",
        "",
        "Wanted: one definition that costs at most 1.1 times GradCAM, has no parameter, works on convolutional",
        "networks and transformers of one to three axes, and is worse than GradCAM in nothing that we measure and",
        "better in most of it.",
        "",
        headline(held_out),
        "",
        conclusion.strip(),
        "",
        "## How it was judged",
        "",
        "The pictures of each network were halved by a seed. All candidates were measured on one half; the three with",
        "the most measures better less worse went to the other half, once. The rule was written before the first",
        "number: a method qualifies if there no paired interval lies below 0 and more than half lie above. The",
        f"candidates {', '.join(ROUNDS[1][1:])} were thought of when the others had been seen on the first half.",
        "",
        "Differences to GradCAM have the sign with which more is better: of *random logit*, *parameter randomisation*",
        "(likeness to the map of another class, and of random weights) and *max sensitivity* it was turned.",
        f"**Bold**: better, *italic*: worse, by the bootstrap interval ({CONFIDENCE:.0%}, {RESAMPLES} resamples of",
        "pictures; questions about one picture are drawn together). n: questions. *roc auc* and *best iou* see ranks",
        "only: sharpening a map cannot move them. In a mosaic *pointing game* is the hit of the right quarter, *energy",
        "inside* its share. Of a candidate equal to GradCAM one interval of 40 lies below 0 by chance. Means over",
        "networks: each setting counts as much.",
        "",
        *verdict(held_out, costs),
        "",
        "## Held-out half: means over networks",
        "",
        *summary(held_out),
        "",
        "## Held-out half: each network",
        "",
        *details(held_out),
        "## Development half: means over networks",
        "",
        *summary(development),
        "",
        "## Development half: each network",
        "",
        *details(development),
        "## The candidates",
        "",
        "`e_l`: local evidence of layer `l`, `sum_k G_k A_k`; `c`: GradCAM's map of the last layer; *last* and",
        "*local*: `c` and the mean of the earlier layers' `relu(e_l)`, each stretched to [0, 1]; `U` resizes to the",
        'input. Layers: `target_layers="stages"`. Log odds: the class against all others.',
        "",
        *definitions(),
    ]
    return "\n".join(lines).rstrip() + "\n"


def table_of(
    half: int, names: Sequence[str], chosen: Sequence[Setting], times: float, work: Path, part: str = ""
) -> dict[str, list[Cell]]:
    """Measure candidates in all settings on one half; GradCAM is always measured, and has no line of its own."""
    together = [ANCHOR, *(name for name in names if name != ANCHOR)]
    found: dict[str, list[Cell]] = {name: [] for name in together[1:]}
    for setting in chosen:
        comparison = measure(setting, half, together, times, work, part)
        for name in found:
            found[name] += cells(comparison, setting.title, name)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="candidates for a method of our own, beside GradCAM")
    parser.add_argument("--times", type=float, default=1.0, help="so many times as many pictures (default: 1)")
    parser.add_argument("--settings", nargs="+", metavar="NAME", help="only these; default: all that can be")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "search", help="keeps what was measured")
    parser.add_argument("--conclusion", type=Path, default=CONCLUSION, help="what a person reads in the numbers")
    parser.add_argument("--development", action="store_true", help="measure that half only, and print its means")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "own_method.md")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    log.setLevel(logging.INFO)
    torch.set_num_threads(options.threads)
    chosen = [s for s in settings(networks.SHARED.is_dir()) if not options.settings or s.name in options.settings]
    development: dict[str, list[Cell]] = {}
    for number, names in enumerate(ROUNDS):
        development |= table_of(0, names, chosen, options.times, options.work, f"_round{number}" if number else "")
    best = finalists(development)
    if options.development:
        print("\n".join([*summary(development), "", *best]))
        return
    held_out = table_of(1, best, chosen, options.times, options.work)
    costs = costs_of(best)
    command = "python -m benchmarks.search" + (f" --times {options.times:g}" if options.times != 1 else "")
    conclusion = options.conclusion.read_text(encoding="utf-8")
    write_bytes(options.output, document(command, development, held_out, costs, conclusion).encode())
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
