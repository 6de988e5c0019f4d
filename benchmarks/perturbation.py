"""What the many-pass explanations cost: ScoreCAM, AblationCAM, FullGrad and smoothing over views, on ResNet-50.

`python -m benchmarks.perturbation` (about five minutes; with `--peers` about fifteen more) writes
`benchmarks/results/perturbation.md`. Random weights, 224 x 224 px, batch 1, two threads. Every run stands between two
plain forward passes (`torch.inference_mode`, evaluation mode); its ratio is its time over their mean. ScoreCAM is also
compared with the best that masking can cost: the number of distinct masks times the time per image of a plain forward
pass at the best batch size.
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
from benchmarks.channel import Remote
from benchmarks.cost import THREADS, machine
from benchmarks.networks import build
from pytorch_grad_cam import AblationCAM, FullGrad, GradCAM, ScoreCAM

RESULT = Path(__file__).parent / "results" / "perturbation.md"
LAST, BEFORE = "layer4.2", "layer4.1"
CHANNELS = 2048
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


def best_per_image(plain: Work) -> tuple[float, int]:
    """Seconds per image of a plain forward pass at the best batch size and memory layout, and that batch size."""
    times = {}
    for batch in BATCHES:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(batch, 3, 224, 224).contiguous(memory_format=layout)
            plain(x)
            found = min(seconds(plain, x) for _ in range(3)) / batch
            times[batch] = min(found, times.get(batch, found))
    batch = min(times, key=times.__getitem__)
    return times[batch], batch


def scorecam(model: nn.Module, plain: Work, x: torch.Tensor, theirs: Remote | None) -> list[str]:
    """ScoreCAM over all channels, once: beside the bound, and beside grad-cam's."""
    before, batch = best_per_image(plain)
    ours = seconds(ScoreCAM(model, LAST), x)
    after, _ = best_per_image(plain)
    bound = CHANNELS * (before + after) / 2
    lines = [f"| ScoreCAM, {CHANNELS} masks | {ours:.1f} s | {ours / bound:.2f} x the bound (batch {batch}) | 1.10 x |"]
    if theirs is not None:
        taken = sum(
            theirs.ask({"do": "round", "batch": 1, "order": 0, "items": ["grad-cam ScoreCAM"]}).popitem()[1][1:2]
        )
        lines.append(f"| grad-cam ScoreCAM | {taken:.1f} s | ours is {taken / ours:.2f} x faster | 1.7 x |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="time of the explanations that need many passes")
    parser.add_argument("--peers", action="store_true", help="run grad-cam's ScoreCAM too (minutes)")
    parser.add_argument("--rounds", type=int, default=5)
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
                lines += scorecam(model, plain, x, theirs)
        else:
            lines += scorecam(model, plain, x, None)
    text = "\n".join(
        [
            "# What the many-pass explanations cost",
            "",
            f"ResNet-50, random weights, 224 px, batch 1; medians of {options.rounds} rounds, ScoreCAM once. How it is",
            "measured: `benchmarks/perturbation.py`.",
            "",
            f"Machine: {machine()}.",
            "",
            "| work | measured | beside | aim |",
            "| --- | ---: | --- | ---: |",
            *lines,
        ]
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
