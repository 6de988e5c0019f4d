"""What the many-pass explanations cost: ScoreCAM, AblationCAM, FullGrad and smoothing over views, on ResNet-50.

`python -m benchmarks.perturbation` (about five minutes; with `--peers` about fifteen more) writes
`benchmarks/results/perturbation.md`. Random weights, 224 x 224 px, batch 1, two threads. Every run stands between two
plain forward passes (`torch.inference_mode`, evaluation mode); its ratio is its time over their mean. ScoreCAM is
compared with the best that masking can cost: plain passes over as many images, at the best batch size.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks import peers
from benchmarks.cost import THREADS, machine
from benchmarks.networks import build
from benchmarks.remote_process import RemoteProcess
from pytorch_grad_cam import AblationCAM, FullGrad, GradCAM, ScoreCAM

RESULT = Path(__file__).parent / "results" / "perturbation.md"
LAST, BEFORE = "layer4.2", "layer4.1"
CHANNELS, SOME = 2048, 256
BATCHES = (1, 2, 4, 8, 16)
# What we want to reach, as a multiple of one forward pass.
AIMS = {
    "AblationCAM, layer4[-1]": 10.0,
    "AblationCAM, layer4[-2]": 100.0,
    "FullGrad": 4.0,
    "GradCAM, aug_smooth": 6.3,
}
Work = Callable[[torch.Tensor], object]


def works(model: nn.Module) -> dict[str, Work]:
    """Our side."""
    return {
        "AblationCAM, layer4[-1]": AblationCAM(model, LAST),
        "AblationCAM, layer4[-2]": AblationCAM(model, BEFORE),
        "FullGrad": FullGrad(model),
        "GradCAM, aug_smooth": lambda x: GradCAM(model, LAST)(x, aug_smooth=True),
    }


def seconds(work: Work, x: torch.Tensor) -> float:
    start = time.perf_counter()
    work(x)
    return time.perf_counter() - start


def ratio(plain: Work, work: Work, x: torch.Tensor, rounds: int) -> float:
    """Median over the rounds of the work's time over that of the plain passes before and after."""
    found = []
    for _ in range(rounds):
        before, middle, after = seconds(plain, x), seconds(work, x), seconds(plain, x)
        found.append(2 * middle / (before + after))
    return statistics.median(found)


def best_batch(plain: Work) -> torch.Tensor:
    """Return pictures of the batch size and memory layout at which a plain pass takes the least time per image."""
    times = {}
    for batch in BATCHES:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(batch, 3, 224, 224).contiguous(memory_format=layout)
            plain(x)
            times[statistics.median(seconds(plain, x) for _ in range(3)) / batch] = x
    return times[min(times)]


def scorecam(model: nn.Module, plain: Work, x: torch.Tensor, rounds: int, theirs: RemoteProcess | None) -> list[str]:
    """ScoreCAM beside the bound, over some of the channels in turns, and once over all, beside grad-cam's."""
    together = best_batch(plain)
    times = SOME // len(together)

    def bound(x: torch.Tensor) -> None:
        for _ in range(times):
            plain(together)

    found = ratio(bound, ScoreCAM(model, LAST, channels=SOME), x, rounds)
    what = f"of plain passes over as many images, in batches of {len(together)}"
    lines = [f"| ScoreCAM, {SOME} masks | {found:.2f} x | {what} | 1.10 x |"]
    if theirs is not None:
        ours = seconds(ScoreCAM(model, LAST), x)
        taken = theirs.ask({"do": "round", "batch": 1, "order": 0, "items": ["grad-cam ScoreCAM"]})
        _, other, _ = taken["grad-cam ScoreCAM"]
        again = seconds(ScoreCAM(model, LAST), x)
        ours = (ours + again) / 2
        lines += [
            f"| ScoreCAM, {CHANNELS} masks | {ours:.1f} s | before and after the next | |",
            f"| grad-cam ScoreCAM | {other:.1f} s | ours is {other / ours:.2f} x faster | 1.7 x |",
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="time of the explanations that need many passes")
    parser.add_argument("--peers", action="store_true", help="run grad-cam's ScoreCAM too (minutes)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-scorecam", action="store_true", help="leave out what takes minutes")
    parser.add_argument("--output", type=Path, default=RESULT, help="markdown file to write")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    model = build("resnet50")
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))

    def plain(x: torch.Tensor) -> None:
        with torch.inference_mode():
            model(x)

    lines = []
    for name, work in works(model).items():
        seconds(work, x)
        found = ratio(plain, work, x, options.rounds)
        lines.append(f"| {name} | {found:.2f} x | of one forward pass | {AIMS[name]:g} x |")
        print(lines[-1], file=sys.stderr)
    if not options.no_scorecam:
        if options.peers:
            with peers.remote("benchmarks.cost_worker", "peers", "resnet50", LAST, threads=THREADS) as theirs:
                lines += scorecam(model, plain, x, options.rounds, theirs)
        else:
            lines += scorecam(model, plain, x, options.rounds, None)
    text = "\n".join(
        [
            "# What the many-pass explanations cost",
            "",
            f"ResNet-50, random weights, 224 px, batch 1; medians of {options.rounds} rounds. How it is measured:",
            "`benchmarks/perturbation.py`.",
            "",
            f"Machine: {machine()}.",
            "",
            "| work | measured | beside | aim |",
            "| --- | ---: | --- | ---: |",
            *lines,
        ]
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
