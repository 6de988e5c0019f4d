"""What the programs that kill runs share: a run in a process of its own, digests of files, and the trials."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path


class ForkedRun:
    """A run in a process of its own, which has loaded all modules already.

    Args:
        folder: it works there, and what it prints is added to ``log.txt``.
        work: does the run and returns its exit code; it is given what tells news to `wait_for_news`.
    """

    def __init__(self, folder: Path, work: Callable[[Callable[[], int]], int]) -> None:
        sys.stdout.flush()
        self._heard, told = os.pipe()
        self.process = os.fork()
        if self.process:
            os.close(told)
            return
        try:
            log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(folder)
            code = work(partial(os.write, told, b"."))
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            os._exit(99)
        os._exit(code)

    def wait_for_news(self) -> None:
        """Return when the run tells something, or has ended."""
        os.read(self._heard, 1)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.process, signal.SIGKILL)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        os.close(self._heard)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def digests(folder: Path, counts: Callable[[Path], bool] = lambda path: True) -> dict[str, str]:
    """Return every file below a folder that counts, with a digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and counts(path)
    }


def run_trials(
    kills: int,
    draw: random.Random,
    result: Path,
    trial: Callable[[int, int], Iterable[str]],
    is_right: Callable[[int], bool],
    of_what: str,
) -> int:
    """Kill so often, say what came of it, and return the number of trials whose files were not as they should be.

    Args:
        kills: in all trials together; each has one to three.
        draw: decides how many a trial has.
        result: the folder that a trial leaves; it is deleted after each.
        trial: by its number and how often to kill, does one and returns how far the runs were each time.
        is_right: whether what trial number so and so left is right.
        of_what: a run is, for people.
    """
    found: Counter[str] = Counter()
    trials = different = 0
    left = kills
    while left:
        here = min(left, draw.choice([1, 2, 2, 3]))
        found.update(trial(trials, here))
        if not is_right(trials):
            different += 1
            print(f"trial {trials} differs", file=sys.stderr)
        shutil.rmtree(result)
        left, trials = left - here, trials + 1
    print(f"{kills} kills in {trials} runs of {of_what}: {different} runs with a byte that differs")
    for name, count in sorted(found.items()):
        print(f"  killed {name}: {count}")
    return different
