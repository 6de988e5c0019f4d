"""What an explanation costs: its time as a multiple of a plain forward pass, and the memory it adds.

`python -m benchmarks.cost` (about ten minutes; `--quick` about two) writes `benchmarks/results/cost.md`.

Time. ResNet-50 with random weights, 224 x 224 px, `layer4[-1]`. In every round each method runs once, in
random order, between two plain forward passes (`torch.inference_mode`, evaluation mode) of its own
process; its ratio is its time over the mean of the two. Ours and the peers take turns, round by round.
The table has the median ratio over the rounds.

Memory. One process per method: the peak resident memory after a plain pass and the method on a batch of
16, minus the same in a process that ran only the plain pass; medians of a few processes each. So what is
counted is what the method needs beyond what the forward pass needed anyway. In all these processes the
allocator returns freed blocks of 1 MB and more at once (MALLOC_MMAP_THRESHOLD_), otherwise its own
hoarding would be the larger part of the number.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

import torch
import torchvision

from benchmarks import peers
from benchmarks.remote_process import RemoteProcess
from pytorch_grad_cam.methods import METHODS, method_name

RESULT = Path(__file__).parent / "results" / "cost.md"
NETWORK, LAYER, THREADS = "resnet50", "layer4.2", 2
ONE_PASS = (
    "gradcam",
    "hirescam",
    "gradcam++",
    "xgradcam",
    "layercam",
    "gradcamelementwise",
    "eigencam",
    "eigengradcam",
    "randomcam",
    "finercam",
    "refinecam",
    "kpcacam",
    "segeigencam",
    "fem",
    "cam",
)
BATCHES = (1, 8)
MEMORY_BATCH = 16
TIME_LIMIT, MEMORY_LIMIT = 1.05, 100  # what we want to reach: ratio, MB

Table = dict[str, dict[str, float]]


def worker(side: str, **environment: str) -> RemoteProcess:
    """A process that runs `benchmarks.cost_worker` for "ours" or "peers"."""
    arguments = ("benchmarks.cost_worker", side, NETWORK, LAYER)
    if side == "ours":
        remote = RemoteProcess([sys.executable, "-m", *arguments], peers.limited(THREADS))
    else:
        remote = peers.remote(*arguments, threads=THREADS)
    remote.environment |= environment
    return remote


def items_of(methods: list[str]) -> list[str]:
    """What to measure for these methods: ours, grad-cam's class of the same name, and GradCAM of the others."""
    theirs = [f"grad-cam {METHODS[name].path.partition(':')[2]}" for name in methods]
    return methods + theirs + (["torchcam GradCAM", "captum GradCAM"] if "gradcam" in methods else [])


def measure_time(sides: list[str], items: list[str], rounds: int) -> Table:
    """Median ratio to a plain forward pass: {"batch 1": {item: ratio}, ...}."""
    ratios: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(side)) for side in sides]
        for batch in BATCHES:
            column = ratios.setdefault(f"batch {batch}", {})
            for order in range(-1, rounds):  # the round before the first warms up and does not count
                for remote in workers:
                    times = remote.ask({"do": "round", "batch": batch, "order": order, "items": items})
                    for item, (before, middle, after) in times.items():
                        if order >= 0:
                            column.setdefault(item, []).append(2 * middle / (before + after))
                print(f"batch {batch}: round {order + 1} of {rounds}", file=sys.stderr)
    return {
        name: {item: statistics.median(values) for item, values in column.items()} for name, column in ratios.items()
    }


def measure_memory(sides: list[str], items: list[str], repeats: int) -> dict[str, float]:
    """Extra peak memory in MB (10^6 bytes) per item."""
    calm = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}

    def peak(side: str, item: str) -> float:
        with worker(side, **calm) as remote:
            return remote.ask({"do": "peak", "batch": MEMORY_BATCH, "item": item}) / 1e6

    extra: dict[str, float] = {}
    for side in sides:
        with worker(side) as remote:
            known = remote.ask({"do": "items", "batch": 1})
        plain = statistics.median(peak(side, "plain") for _ in range(repeats))
        for item in (item for item in items if item in known):
            extra[item] = statistics.median(peak(side, item) for _ in range(repeats)) - plain
            print(f"memory of {item}: {extra[item]:.0f} MB", file=sys.stderr)
    return extra


def machine(threads: int = THREADS) -> str:
    """The facts that the numbers depend on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = (
            line.split(":")[1].strip() for line in info.read_text(encoding="utf-8").splitlines() if "model name" in line
        )
        cpu = next(named, cpu)
    installed = [f"{name} {version}" for name, version in peers.versions().items()]
    ours = f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    return f"{cpu}, {threads} threads; {ours}; {', '.join(installed) or 'no peers'}"


def report(items: list[str], ratios: Table, extra: dict[str, float], rounds: int) -> str:
    """The table as markdown."""
    columns = list(ratios)
    lines = [
        "# What an explanation costs",
        "",
        "Time as a multiple of a plain inference forward pass, and peak memory beyond that of the pass.",
        f"ResNet-50, random weights, 224 px, `layer4[-1]`; medians of {rounds} interleaved rounds; memory at",
        f"batch {MEMORY_BATCH}. How it is measured: `benchmarks/cost.py`. Aim for every method of ours: at most",
        f"{TIME_LIMIT} x and {MEMORY_LIMIT} MB. Ours in bold.",
        "",
        f"Machine: {machine()}.",
        "",
        f"| method | {' | '.join(columns)} | extra memory |",
        f"| --- |{' ---: |' * (len(columns) + 1)}",
    ]
    for item in sorted(ratios[columns[0]], key=items.index):
        cells = [f"{ratios[column][item]:.3f} x" for column in columns]
        memory = f"{extra[item]:.0f} MB" if item in extra else "-"
        lines.append(f"| {item if ' ' in item else f'**{item}**'} | {' | '.join(cells)} | {memory} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="time and memory of every method, ours and the peers'")
    parser.add_argument("--quick", action="store_true", help="3 rounds, not 9; memory of ours only, once")
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    parser.add_argument("--methods", nargs="+", help="names as on the command line; default: those of one pass")
    parser.add_argument("--rounds", type=int, help="rounds per batch size")
    parser.add_argument("--repeats", type=int, help="processes per method for the memory")
    parser.add_argument("--output", type=Path, default=RESULT, help="markdown file to write")
    options = parser.parse_args()
    items = items_of([method_name(name) for name in options.methods or ONE_PASS])
    sides = ["ours"]
    if not options.ours:
        if len(peers.versions()) < len(peers.PEERS):
            parser.error("the peers are not installed; run `python -m benchmarks.peers`, or give --ours")
        sides.append("peers")
    rounds = options.rounds or (3 if options.quick else 9)
    repeats = options.repeats or (1 if options.quick else 3)
    ratios = measure_time(sides, items, rounds)
    extra = measure_memory(sides[:1] if options.quick else sides, items, repeats)
    text = report(items, ratios, extra, rounds)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
