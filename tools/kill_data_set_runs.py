"""Kill runs over many pictures at random moments, continue them, and compare the files with an undisturbed run.

`python -m tools.kill_data_set_runs --kills 100` (Linux and macOS; some minutes). A trial starts `cam run`, whole or as
two shares side by side, each in a process of its own; kills it, or one of the shares, with SIGKILL at a moment drawn
evenly from the time that it takes (nine times in ten after its network is loaded); mostly does so once or twice more
to the run that goes on, and lets the last one come to its end. Then every file but times.jsonl must be the same, byte
by byte, there must be no other, and no batch may have been explained again after the run had vouched for it.
Prints how far the runs were when they were killed; exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pytorch_grad_cam.cli.main import main as command
from pytorch_grad_cam.runs.data_set_run import DataSetRun
from tools.killing import ForkedRun, digests, run_trials

PICTURES, SIDE, BATCH, SHARES = 80, 32, 4, 2
GIVEN = ("run", "photos", "--model", "shapes", "--batch-size", str(BATCH), "--save", "overlay", "npy", "json")
WHOLE, SHARED = "whole", f"{SHARES} shares"


def pictures(folder: Path, count: int) -> None:
    """Write pictures, one of which cannot be read."""
    generator = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for number in range(count):
        pixels = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"photos/{number:04}.png")
    (folder / f"photos/{count // 2:04}.png").write_bytes(b"no picture")


def work(tell: Callable[[], int], shard: str | None) -> int:
    """Do a run, or a share of one; tell when its network is loaded and the work begins, and when that is done."""
    torch.set_num_threads(1)
    run_all, explain = DataSetRun.run, DataSetRun._explain

    def telling(run: DataSetRun, *given: object) -> None:
        tell()
        done = {row["position"] for row in run.folder.index(run.options.shard).rows()}

        def checked(run: DataSetRun, read: list) -> list:
            if read and all(each.position in done for each in read):
                os._exit(98)  # done twice
            return explain(run, read)

        DataSetRun._explain = checked  # type: ignore[method-assign,assignment]
        run_all(run, *given)  # type: ignore[arg-type]
        tell()

    DataSetRun.run = telling  # type: ignore[method-assign,assignment]
    return command([*GIVEN, "--output-dir", "k", *(["--shard", shard] if shard else [])])


def started(folder: Path, kind: str) -> list[ForkedRun]:
    """Start a run, or all of its shares."""
    shards = [None] if kind == WHOLE else [f"{number}/{SHARES}" for number in range(1, SHARES + 1)]
    return [ForkedRun(folder, partial(work, shard=shard)) for shard in shards]


def finished(runs: list[ForkedRun], folder: Path, bad: int) -> None:
    """Wait for runs that nobody kills.

    Raises:
        RuntimeError: if they do not end as they should: with 1 where the bad picture was met.
    """
    codes = sorted(run.end() for run in runs)
    if codes != [0] * (len(runs) - bad) + [1] * bad:
        raise RuntimeError(f"runs ended with {codes}: {(folder / 'log.txt').read_text(encoding='utf-8')[-2000:]}")


def files(folder: Path) -> dict[str, str]:
    """Every file of a run with a digest, but for times, locks and what shares keep for themselves."""
    return digests(
        folder,
        lambda path: (
            path.name not in (".lock", "times.jsonl") and not (path.name == "index.jsonl" and "shards" in path.parts)
        ),
    )


def state(folder: Path, count: int) -> str:
    """Say how far a run was when it was killed."""
    rows = sum(path.read_bytes().count(b"\n") for path in folder.glob("shards/*/index.jsonl"))
    if (folder / "index.jsonl").exists():
        rows = (folder / "index.jsonl").read_bytes().count(b"\n")
    if not (folder / "manifest.json").exists():
        return "before the manifest"
    return "with all rows" if rows >= count else "after some batches" if rows else "in the first batch"


def trial(folder: Path, kind: str, kills: int, seconds: float, count: int, draw: random.Random) -> list[str]:
    """Kill a run, or a share, some times and let it come to its end; return how far it was each time."""
    found = []
    for _ in range(kills):
        runs = started(folder, kind)
        victim = draw.choice(runs)
        if draw.random() < 0.9:
            victim.wait_for_news()
        time.sleep(draw.uniform(0, seconds))
        victim.kill()
        found.append(state(folder / "k", count))
        for run in runs:
            code = run.end()
            if code not in (0, 1, -signal.SIGKILL):
                raise RuntimeError(
                    f"a run ended with {code}: {(folder / 'log.txt').read_text(encoding='utf-8')[-2000:]}"
                )
    finished(started(folder, kind), folder, 1)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    draw, count = random.Random(options.seed), options.pictures
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures(folder, count)
        wanted, seconds = {}, {}
        for kind in (WHOLE, SHARED):
            runs = started(folder, kind)
            for run in runs:
                run.wait_for_news()
            begin = time.monotonic()
            for run in runs:
                run.wait_for_news()
            seconds[kind] = 1.2 * (time.monotonic() - begin)  # also while shares are joined
            finished(runs, folder, 1)
            wanted[kind] = files(folder / "k")
            shutil.rmtree(folder / "k")
        different = int(wanted[WHOLE] != wanted[SHARED])
        different += run_trials(
            options.kills,
            draw,
            folder / "k",
            lambda number, kills: [
                f"{kind_of(number)}, {far}"
                for far in trial(folder, kind_of(number), kills, seconds[kind_of(number)], count, draw)
            ],
            lambda number: files(folder / "k") == wanted[WHOLE],
            f"{count} pictures",
        )
    return 1 if different else 0


def kind_of(number: int) -> str:
    """Return what a trial runs: whole runs and shares take turns."""
    return (WHOLE, SHARED)[number % 2]


if __name__ == "__main__":
    sys.exit(main())
