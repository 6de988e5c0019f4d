"""A folder of small pictures, and runs over it with the built-in network, for the tests of ``cam run``."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.runs.lock import LOCK

PICTURES, BATCH = 20, 4
GIVEN = ["--model", "shapes", "--batch-size", str(BATCH), "--save", "overlay", "npy"]
PLAIN = ["run", "photos", *GIVEN]


def write_pictures(folder: Path, count: int = PICTURES, side: int = 32) -> None:
    """Write pictures of noise, always the same."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{number:04}.png")


def run(folder: str, *more: str) -> int:
    """Run over the folder ``photos``."""
    return main([*PLAIN, "--output-dir", folder, *more])


def results(folder: str | Path) -> dict[str, str]:
    """Every file that a run leaves, with a digest, but for times, locks and what the shares keep for themselves."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.name not in (LOCK, "times.jsonl") and path.parent.parent.name != "shards"
    }
