"""Part e: the peers beside ours, on the same device, from wheels in a folder that is named."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import peers
from benchmarks.cost import items_of, worker
from benchmarks.gpu.bench import Bench, Item, Part, Row

BATCHES = (1, 64)
METHODS = ("gradcam", "layercam", "eigencam")
LIBRARIES = ("grad_cam", "torchcam", "captum")  # how the names of their wheels begin


def wheels(bench: Bench) -> list[Path]:
    """Return the wheels of the peers, and what they need, in the folder that was named."""
    return sorted(bench.wheels.glob("*.whl")) if bench.wheels else []


def why_not(bench: Bench) -> str | None:
    if any(file.name.lower().startswith(LIBRARIES) for file in wheels(bench)):
        return None
    if not peers.versions():
        named = bench.wheels or "none was named with --wheels"
        return f"no wheels of {', '.join(LIBRARIES)} lie in a folder ({named}), and none of them is installed"
    return None


@contextmanager
def installed(files: list[Path]) -> Iterator[None]:
    """Let the peers be those of these wheels; without any, those that are installed already."""
    if not files:
        yield
        return
    before = os.environ.get("CAM_PEERS")
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", folder]
        subprocess.run([*pip, *map(str, files)], check=True)
        os.environ["CAM_PEERS"] = folder
        try:
            yield
        finally:
            del os.environ["CAM_PEERS"]
            if before is not None:
                os.environ["CAM_PEERS"] = before


def _measured(batch: int, bench: Bench) -> list[Row]:
    ratios: dict[str, list[float]] = {}
    called: dict[str, list[float]] = {}
    names = items_of(list(METHODS))
    with installed(wheels(bench)), worker("ours") as ours, worker("peers") as theirs:
        for order in range(-1, bench.rounds):  # the round before the first warms up and does not count
            for remote in (ours, theirs):
                message = {"do": "round", "batch": batch, "order": order, "items": names, "device": str(bench.device)}
                for name, (before, middle, after) in remote.ask(message).items():
                    if order >= 0:
                        ratios.setdefault(name, []).append(2 * middle / (before + after))
                        called.setdefault(name, []).append(1000 * middle)
        versions = peers.versions()
    return [
        {
            "method": name,
            "version": versions.get(name.partition(" ")[0], "ours"),
            "batch": batch,
            "call ms": median(called[name]),
            "ratio": median(ratios[name]),
        }
        for name in names
        if name in ratios
    ]


def items(bench: Bench) -> Iterator[Item]:
    for batch in (1,) if bench.smoke else BATCHES:
        yield Item(f"batch {batch}", partial(_measured, batch, bench))


PART = Part(
    "e",
    "The peers beside ours",
    35,
    items,
    why_not,
    ("ResNet-50, as in `benchmarks/cost.py`: a call's time as a multiple of the plain passes before and after it.",),
)
