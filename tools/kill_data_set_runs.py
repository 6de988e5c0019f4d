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
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pytorch_grad_cam.cli.main import main as command
from pytorch_grad_cam.runs.data_set_run import DataSetRun

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


class Run:
    """A run, or a share of one, in a process of its own, which has loaded all modules already."""

    def __init__(self, folder: Path, shard: str | None) -> None:
        sys.stdout.flush()
        self._begun, told = os.pipe()
        self.process = os.fork()
        if self.process:
            os.close(told)
            return
        try:
            log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(folder)
            torch.set_num_threads(1)
            work, explain = DataSetRun.run, DataSetRun._explain

            def telling(run: DataSetRun, *given: object) -> None:
                os.write(told, b".")
                done = {row["position"] for row in run.folder.index(run.options.shard).rows()}

                def checked(run: DataSetRun, read: list) -> list:
                    if read and all(each.position in done for each in read):
                        os._exit(98)  # done twice
                    return explain(run, read)

                DataSetRun._explain = checked  # type: ignore[method-assign,assignment]
                work(run, *given)  # type: ignore[arg-type]
                os.write(told, b".")

            DataSetRun.run = telling  # type: ignore[method-assign,assignment]
            code = command([*GIVEN, "--output-dir", "k", *(["--shard", shard] if shard else [])])
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            os._exit(99)
        os._exit(code)

    def wait_for_news(self) -> None:
        """Return when the network is loaded and the work begins; called again, when it is done."""
        os.read(self._begun, 1)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.process, signal.SIGKILL)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        os.close(self._begun)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def started(folder: Path, kind: str) -> list[Run]:
    """Start a run, or all of its shares."""
    shards = [None] if kind == WHOLE else [f"{number}/{SHARES}" for number in range(1, SHARES + 1)]
    return [Run(folder, shard) for shard in shards]


def finished(runs: list[Run], folder: Path, bad: int) -> None:
    """Wait for runs that nobody kills.

    Raises:
        RuntimeError: if they do not end as they should: with 1 where the bad picture was met.
    """
    codes = sorted(run.end() for run in runs)
    if codes != [0] * (len(runs) - bad) + [1] * bad:
        raise RuntimeError(f"runs ended with {codes}: {(folder / 'log.txt').read_text(encoding='utf-8')[-2000:]}")


def files(folder: Path) -> dict[str, str]:
    """Every file of a run with a digest, but for times, locks and what shares keep for themselves."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in (".lock", "times.jsonl")
        and not (path.name == "index.jsonl" and "shards" in path.parts)
    }


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
        found: Counter[str] = Counter()
        trials = 0
        left = options.kills
        while left:
            kind = (WHOLE, SHARED)[trials % 2]
            kills = min(left, draw.choice([1, 2, 2, 3]))
            found.update(f"{kind}, {name}" for name in trial(folder, kind, kills, seconds[kind], count, draw))
            if files(folder / "k") != wanted[WHOLE]:
                different += 1
                print(f"trial {trials} differs", file=sys.stderr)
            shutil.rmtree(folder / "k")
            left, trials = left - kills, trials + 1
    print(f"{options.kills} kills in {trials} runs of {count} pictures: {different} runs with a byte that differs")
    for name, number in sorted(found.items()):
        print(f"  killed {name}: {number}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
