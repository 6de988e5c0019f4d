"""What metrics cost: insertion and deletion, and ROAD, beside plain passes over as many images; and beside the peers.

`python -m benchmarks.metrics` (about ten minutes on a quiet machine) writes `benchmarks/results/metrics.md`. ResNet-50,
random weights, 224 x 224 px. Every run of ours stands between two runs of plain passes (`torch.inference_mode`,
evaluation mode) over as many images as it puts through the network, in batches of the same size; its ratio is its time
over their mean, and the median over the rounds is shown. The peers run in a process of their own, on the same images,
maps and steps, in turns with ours. Times are those that the processor worked for the process, so that other work on the
machine shows less.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import peers
from benchmarks.cost import THREADS, machine
from benchmarks.networks import build
from benchmarks.remote_process import RemoteProcess
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlation import FaithfulnessCorrelation, Infidelity
from pytorch_grad_cam.metrics.curves import Deletion, Insertion, PixelFlippingMoRF
from pytorch_grad_cam.metrics.imputation import RoadCombined
from pytorch_grad_cam.metrics.metric import Metric

RESULT = Path(__file__).parent / "results" / "metrics.md"
NETWORK, SIDE, BATCH = "resnet50", 224, 8
DECILES = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
ALONE: dict[str, tuple[tuple[Metric, ...], float]] = {
    "insertion and deletion, 28 steps": ((Insertion(), Deletion()), 1.05),
    "ROAD, both orders, 9 percentiles": ((RoadCombined(),), 1.3),
}
GAUGED = (1, 3)  # images, to show that memory does not grow with them


def images(count: int) -> tuple[Tensor, Tensor]:
    """Smooth random images, and maps like those of a CAM: 7 x 7 values, the lower half of them 0, enlarged."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, 3, 40, 40, generator=generator)
    small = (torch.rand(count, 1, 7, 7, generator=generator) - 0.5).relu() * 2
    maps = F.interpolate(small, (SIDE, SIDE), mode="bilinear")[:, 0]
    return F.interpolate(coarse, (SIDE, SIDE), mode="bicubic"), maps


def measure(model: nn.Module, metrics: tuple[Metric, ...], count: int) -> tuple[float, int]:
    """Seconds that some metrics of one case take, and how many images they put through the network."""
    x, maps = images(count)
    case = Case(x, maps, [0] * count, model, batch_size=BATCH)
    start = time.process_time()
    for metric in metrics:
        metric.of(case)
    return time.process_time() - start, case.passes


def plain(model: nn.Module, count: int) -> float:
    """Seconds of plain passes over that many images."""
    x = images(BATCH)[0]
    start = time.process_time()
    with torch.inference_mode():
        for first in range(0, count, BATCH):
            model(x[: min(BATCH, count - first)])
    return time.process_time() - start


def ratio(model: nn.Module, metrics: tuple[Metric, ...], rounds: int) -> tuple[float, int]:
    """Median of the time over that of the plain passes before and after, and the number of passes."""
    found, passes = [], measure(model, metrics, 1)[1]
    for number in range(rounds):
        before, (middle, _), after = plain(model, passes), measure(model, metrics, 1), plain(model, passes)
        found.append(2 * middle / (before + after))
        print(f"  {found[-1]:.3f} ({number + 1} of {rounds})", file=sys.stderr)
    return statistics.median(found), passes


def beside() -> list[tuple[str, tuple[Metric, ...], int, dict[str, Any]]]:
    """Row, ours, images, and the request to `benchmarks.metric_worker`."""
    size, samples = 3 * SIDE**2, 16
    quantus = {"metric": "quantus", "options": {"perturb_baseline": 0.0}}
    changes = torch.randn(samples, 1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    flipping = {**quantus["options"], "features_in_step": size // 21}
    subsets = {**quantus["options"], "nr_runs": 32, "subset_size": size // 5}
    curves = {"metric": "torchcam", "name": "DeletionInsertionMetric", "options": {"steps": 28, "batch_size": BATCH}}
    return [
        (
            "Quantus PixelFlipping, 21 steps",
            (PixelFlippingMoRF(21),),
            1,
            quantus | {"name": "PixelFlipping", "options": flipping},
        ),
        (
            "Quantus FaithfulnessCorrelation, 32 sets",
            (FaithfulnessCorrelation(subsets=32),),
            1,
            quantus | {"name": "FaithfulnessCorrelation", "options": subsets},
        ),
        (
            "captum infidelity, 16 changes",
            (Infidelity(samples, "noise"),),
            1,
            {"metric": "infidelity", "changes": changes},
        ),
        ("torchcam insertion and deletion, 28 steps", (Insertion(), Deletion()), 1, curves),
        ("grad-cam ROADCombined, 9 percentiles", (RoadCombined(),), 1, {"metric": "road", "percentiles": DECILES}),
    ]


def times_slower(
    model: nn.Module,
    metrics: tuple[Metric, ...],
    count: int,
    request: dict[str, Any],
    other: RemoteProcess,
    rounds: int,
) -> tuple[float, float]:
    """Median over the rounds of the peer's time over ours, and our seconds."""
    x, maps = images(count)
    message = {"network": NETWORK, "input": x, "maps": maps, "targets": [0] * count, **request}
    found, ours = [], []
    for _ in range(rounds + 1):
        seconds, _ = measure(model, metrics, count)
        answer = other.ask(message)
        if "error" in answer:
            raise RuntimeError(f"{request['metric']}: {answer['error']}")
        found.append(answer["seconds"] / seconds)
        ours.append(seconds)
    return statistics.median(found[1:]), statistics.median(ours[1:])  # the first warms both


def peak(name: str, count: int) -> float:
    """Largest memory of a process that measures that many images, in MiB."""
    command = [sys.executable, "-m", "benchmarks.metrics", "--peak", name, str(count)]
    done = subprocess.run(command, env=peers.limited(THREADS), check=True, capture_output=True, text=True)
    return float(done.stdout)


def print_peak(name: str, count: int) -> None:
    measure(build(NETWORK), ALONE[name][0], count)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def table(head: str, rows: list[str]) -> list[str]:
    columns = head.count("|") - 1
    return [head, "| --- |" + " ---: |" * (columns - 1), *rows, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description="time and memory of metrics")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--peak", nargs=2, metavar=("NAME", "IMAGES"), help="print one process's memory and end")
    parser.add_argument("--output", type=Path, default=RESULT, help="markdown file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak is not None:
        print_peak(options.peak[0], int(options.peak[1]))
        return
    model = build(NETWORK)
    rows, memory, against = [], [], []
    for name, (metrics, aim) in ALONE.items():
        found, passes = ratio(model, metrics, options.rounds)
        rows.append(f"| {name} | {passes} | {found:.2f} x | {aim:g} x |")
        memory.append(f"| {name} | {' | '.join(f'{peak(name, count):.0f} MiB' for count in GAUGED)} |")
        print(rows[-1], memory[-1], sep="\n", file=sys.stderr)
    if not options.no_peers:
        with peers.remote("benchmarks.metric_worker", threads=options.threads) as other:
            for name, metrics, count, request in beside():
                found, seconds = times_slower(model, metrics, count, request, other, max(1, options.rounds // 2))
                against.append(f"| {name} | {seconds:.2f} s | {found:.1f} x |")
                print(against[-1], file=sys.stderr)
    text = "\n".join(
        [
            "# What metrics cost",
            "",
            f"ResNet-50, random weights, {SIDE} px, batches of {BATCH}; medians",
            f"over rounds: {options.rounds}; times of the processor. How it is measured: `benchmarks/metrics.py`.",
            "",
            f"Machine: {machine(options.threads)}.",
            "",
            *table("| metrics of one map | passes | beside as many plain passes | aim |", rows),
            "The largest memory of a process is that of one batch, whatever the number of images and steps:",
            "",
            *table(f"| metrics | {' | '.join(f'{count} images' for count in GAUGED)} |", memory),
            *(table("| the peer's metric, one image | ours | the peer takes |", against) if against else []),
        ]
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text.rstrip() + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
