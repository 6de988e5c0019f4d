"""Kill batch runs at random moments, continue them, and compare what comes out with an undisturbed run.

`python -m tools.kill_runs --kills 60` (Linux and macOS; some minutes). Each trial starts `nnc gradcam-batch`, or
`smoothgrad-batch`, in a process of its own, kills it with SIGKILL at a moment drawn evenly from the time that a run
takes (nine times in ten after its network is loaded), mostly does so a second or third time to the run that continues
it, and lets the last one come to its end. Then every file must be the same, byte by byte, and there must be no other.
Prints how far the runs were when they were killed; exits with 1 if a byte differs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pytorch_grad_cam.cli.main import main as command
from pytorch_grad_cam.nnc.dataset_run import DatasetRun
from tools.killing import ForkedRun, digests, run_trials

ROWS, SIDE = 120, 48
COMMANDS = (
    ("gradcam-batch", "--batch-size", "8"),
    ("smoothgrad-batch", "-n", "2", "--style", "nnc", "--batch-size", "4"),
)


def dataset(folder: Path) -> None:
    """Write pictures, a CSV with two rows that fail, and an older CSV in the output's place."""
    generator = np.random.default_rng(0)
    (folder / "p").mkdir(parents=True)
    for row in range(ROWS):
        Image.fromarray(generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"p/{row}.png")
    rows = [f"p/{row}.png,{row % 3}" for row in range(ROWS)]
    rows[17], rows[90] = "p/none.png,0", "p/3.png,99"
    (folder / "d.csv").write_text("\n".join(["x,y", *rows, ""]), encoding="utf-8")


def started(folder: Path, given: tuple[str, ...]) -> ForkedRun:
    """Start a run, which tells when its network is loaded and the work begins."""

    def work(tell: Callable[[], int]) -> int:
        begin = DatasetRun.start
        DatasetRun.start = lambda run: (tell(), begin(run))[1]  # type: ignore[method-assign]
        return command(["nnc", *given, "-i", "d.csv", "-o", "k/o.csv", "--model", "shapes"])

    return ForkedRun(folder, work)


def state(folder: Path) -> str:
    """Say how far a run was when it was killed."""
    journal = folder / "o/.progress.jsonl"
    if not journal.exists():
        return "complete" if (folder / "o.csv").exists() else "before the first row"
    lines = journal.read_bytes().count(b"\n") - 1
    if (folder / "o.csv").exists():
        return "between the CSV and the end"
    return "after some batches" if lines > 0 else "in the first batch"


def trial(folder: Path, given: tuple[str, ...], kills: int, seconds: float, draw: random.Random) -> list[str]:
    """Kill a run some times and let it come to its end; return how far it was each time."""
    found = []
    for _ in range(kills):
        run = started(folder, given)
        if draw.random() < 0.9:
            run.wait_for_news()
        time.sleep(draw.uniform(0, seconds))
        run.kill()
        run.end()
        found.append(state(folder / "k"))
    code = started(folder, given).end()
    if code != 1:
        raise RuntimeError(f"a run ended with {code}, not with 1 for its two bad rows: {folder / 'log.txt'}")
    return found


def main() -> int:
    """Run the trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset(folder)
        wanted, seconds = {}, {}
        for given in COMMANDS:
            run = started(folder, given)
            run.wait_for_news()
            begin = time.monotonic()
            if run.end() != 1:
                raise RuntimeError((folder / "log.txt").read_text(encoding="utf-8"))
            seconds[given] = time.monotonic() - begin
            wanted[given] = digests(folder / "k")
            shutil.rmtree(folder / "k")
        different = run_trials(
            options.kills,
            draw,
            folder / "k",
            lambda number, kills: trial(folder, given_to(number), kills, seconds[given_to(number)], draw),
            lambda number: digests(folder / "k") == wanted[given_to(number)],
            f"{ROWS} rows",
        )
    return 1 if different else 0


def given_to(number: int) -> tuple[str, ...]:
    """Return the command of a trial: they take turns."""
    return COMMANDS[number % len(COMMANDS)]


if __name__ == "__main__":
    sys.exit(main())
