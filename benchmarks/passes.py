"""What every method costs beside the passes it is said to need, on ResNet-50.

`python -m benchmarks.passes` (about ten minutes) writes `benchmarks/results/passes.md`. Random weights, 224 x 224 px,
batch 1, two threads. The column "passes" of the method table is a formula; here it gets numbers: F, a plain inference
forward pass per image, of many changed images at the best batch size, else at batch 1; B, a backward pass to the
input, and Bt one to the layer, each with its forward pass and less F; Ft, what follows the layer; K channels, n
positions and N steps as in the run. The ratio is the method's time over that of the formula. Methods of one pass have
a table of their own, `cost.md`; methods for transformers are left out.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cost import THREADS, machine
from benchmarks.networks import build
from pytorch_grad_cam.methods import METHODS, Method

RESULT = Path(__file__).parent / "results" / "passes.md"
NETWORK, LAYER, CHANNELS, POSITIONS = "resnet50", "layer4.2", 2048, 49
BATCHES = (1, 4, 8, 16)
AIM = 1.10
# What a run is made with, so that each takes seconds, and its N and K.
RUNS: dict[str, tuple[dict[str, Any], int, int]] = {
    "scorecam": ({"channels": 128}, 0, 128),
    "gscorecam": ({"channels": 128}, 0, 128),
    "sscam": ({"channels": 16, "num_samples": 8}, 8, 16),
    "iscam": ({"channels": 16, "num_samples": 8}, 8, 16),
    "opticam": ({"steps": 16}, 16, 0),
    "rise": ({"num_samples": 128}, 128, 0),
    "smoothgrad": ({"num_samples": 32}, 32, 0),
    "vargrad": ({"num_samples": 32}, 32, 0),
    "integratedgradients": ({"steps": 32}, 32, 0),
    "smoothgradcam++": ({"num_samples": 16}, 16, 0),
}
SKIPPED = ("sess",)  # its windows have sizes of their own
ALONE = ("opticam", "smoothgradcam++")  # N passes, but one after the other
Work = Callable[[], object]


def seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def primitives(model: nn.Module, x: Tensor) -> dict[str, Work]:
    """The passes that formulas count: each a work on one image, or on a batch where the name has a number."""
    layer = model.get_submodule(LAYER)
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, args, output: kept.append(output))
    with torch.no_grad():
        model(x)
    handle.remove()
    features = kept[0]

    def plain(batch: Tensor) -> Work:
        def work() -> None:
            with torch.inference_mode():
                model(batch)

        return work

    def to_input(batch: Tensor) -> Work:
        def work() -> None:
            leaf = batch.clone()
            leaf.requires_grad = True
            torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)

        return work

    def tail(batch: Tensor, backward: bool) -> Work:
        def work() -> None:
            leaf = batch.detach().clone()
            leaf.requires_grad = backward
            with torch.set_grad_enabled(backward):
                score = model.fc(model.avgpool(leaf).flatten(1))[:, 0].sum()
            if backward:
                torch.autograd.grad(score, leaf)

        return work

    works: dict[str, Work] = {"FtBt 1": tail(features, True)}
    for size in BATCHES:
        together = x.expand(size, *x.shape[1:]).contiguous()
        works[f"F {size}"], works[f"FB {size}"] = plain(together), to_input(together)
        works[f"Ft {size}"] = tail(features.expand(size, *features.shape[1:]).contiguous(), False)
    return works


def unit_times(model: nn.Module, x: Tensor, rounds: int) -> dict[str, float]:
    """Seconds per image of F, B, Ft and Bt at batch 1, and with a star at the best batch size; medians."""
    works = primitives(model, x)
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            taken[name].append(seconds(work))
    median = {name: statistics.median(times[1:]) for name, times in taken.items()}

    def best(kind: str) -> float:
        return min(median[f"{kind} {size}"] / size for size in BATCHES)

    return {
        "F": median["F 1"],
        "B": median["FB 1"] - median["F 1"],
        "Ft": median["Ft 1"],
        "Bt": max(0.0, median["FtBt 1"] - median["Ft 1"]),
        "F*": best("F"),
        "B*": best("FB") - best("F"),
        "Ft*": best("Ft"),
    }


def expected(method: Method, units: dict[str, float], steps: int, channels: int) -> float:
    """Evaluate the formula of a method in seconds; its first pass is of one image, later ones come in batches."""
    formula = re.sub(r"(?<=[\w)]) (?=[(\w])", " * ", method.passes)
    names = units | {"N": steps, "K": channels or CHANNELS, "n": POSITIONS}
    once = 0.0
    if method.name not in ALONE and re.search(r"\b[NKn]\b", formula):
        names |= {name: units[f"{name}*"] for name in ("F", "B", "Ft")}
        once = units["F"] - units["F*"]
    return once + float(eval(formula, {"__builtins__": {}}, names))


def measured(names: list[str], rounds: int) -> dict[str, float]:
    """Ratio of each method's time to that of its formula; medians of interleaved rounds."""
    torch.set_num_threads(THREADS)
    model = build(NETWORK)
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    cams = {}
    for name in names:
        options, _, _ = RUNS.get(name, ({}, 0, 0))
        cams[name] = METHODS[name].load()(model, LAYER, **options)
        cams[name](x, 0)
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name, cam in cams.items():
            units = unit_times(model, x, 1)
            _, steps, channels = RUNS.get(name, ({}, 0, 0))
            ratios[name].append(seconds(lambda cam=cam: cam(x, 0)) / expected(METHODS[name], units, steps, channels))
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    return {name: statistics.median(values) for name, values in ratios.items()}


def report(ratios: dict[str, float], rounds: int) -> str:
    lines = [
        "# What each method costs beside its passes",
        "",
        f"ResNet-50, random weights, 224 px, `{LAYER}`, batch 1; medians of {rounds} interleaved rounds.",
        f"How it is measured: `benchmarks/passes.py`. Aim: at most {AIM} x the passes.",
        "",
        f"Machine: {machine()}.",
        "",
        "| method | passes | with | time / passes |",
        "| --- | --- | --- | ---: |",
    ]
    for name, ratio in ratios.items():
        options = ", ".join(f"{key} = {value}" for key, value in RUNS.get(name, ({}, 0, 0))[0].items())
        lines.append(f"| {name} | {METHODS[name].passes} | {options} | {ratio:.2f} x |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="time of every method over that of the passes it needs")
    parser.add_argument("--methods", nargs="+", help="default: all but those of one pass, and those for transformers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULT, help="markdown file to write")
    options = parser.parse_args()
    several = [
        name
        for name, method in METHODS.items()
        if method.needs != "attention" and method.passes not in ("F", "F + Bt") and name not in SKIPPED
    ]
    ratios = measured(options.methods or several, options.rounds)
    text = report(ratios, options.rounds)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
