"""Everything that a machine with a CUDA device can say of the package, by one command, in less than eight minutes.

`python -m benchmarks.gpu` (or `make gpu`) needs torch, torchvision and this repository, and neither network nor
`../shared`. It writes `benchmarks/results/gpu.md`, for people, and `gpu.json`, with all numbers, after each part anew:
what was interrupted has them too.

- a: the tests that need a GPU;
- b: every method's map beside the CPU's, in float64, float32, and half precision;
- c: cost beside a plain pass at several batch sizes: time, memory, launches, waiting;
- d: methods of many passes, by precision, memory layout, compilation;
- e: the peers beside ours, from wheels in a folder that is named (`--wheels`), else those of `benchmarks.peers`;
- f: throughput of a run over a data set in memory.

Each part has its time; what did not fit is said. `--only c d` measures some parts. `--smoke` tries everything in
seconds, also on a CPU, with tiny networks: its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.gpu import cost, data_run, device_tests, equality, peer_cost, perturbation
from benchmarks.gpu.bench import Bench, Result, run_part
from benchmarks.gpu.report import markdown, write

RESULTS = Path(__file__).resolve().parents[1] / "results"
MODULES = (device_tests, equality, cost, perturbation, peer_cost, data_run)
PARTS = {module.PART.name: module.PART for module in MODULES}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write and print; return 1 where something failed, and 2 where there is nothing to measure on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--smoke", action="store_true", help="tiny networks, seconds, also on a CPU")
    parser.add_argument("--device", help="default: cuda; with --smoke cpu")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="with wheels of grad-cam, torchcam and captum")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER", help=f"default: {RESULTS.name}")
    options = parser.parse_args(arguments)
    device = torch.device(options.device or ("cpu" if options.smoke else "cuda"))
    if device.type == "cuda" and not torch.cuda.is_available():
        print("there is no usable CUDA device; --smoke tries everything on the CPU", file=sys.stderr)
        return 2
    bench = Bench(device, options.smoke, options.wheels)
    results: dict[str, Result] = {}
    for name in options.only or PARTS:
        results[name] = run_part(PARTS[name], bench, lambda line: print(line, file=sys.stderr))
        write(options.output, bench, results)
    print(markdown(bench, results))
    failed = any(result.failed or any(row.get("failed") for row in result.rows) for result in results.values())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
