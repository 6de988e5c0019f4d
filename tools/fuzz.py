"""Feed every reader of files with damaged and invented ones, each with a limit on time and memory, and count.

Run ``python -m tools.fuzz --inputs 1000`` (for each reader; ``--help`` shows more). An input is made of the seed, the
reader's name and its number alone, so ``--reader nnp-text --first 4711 --inputs 1`` makes the same one again. What a
reader may do with a file: read it, or raise ValueError or OSError. Anything else, more than 5 seconds, or more than
1 GB is a defect; the summary counts them, and the exit status is 1 if there is one. Needs Linux, which tells memory.
"""

from __future__ import annotations

import argparse
import json
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tools.fuzz_inputs import input_of, sound_files
from tools.fuzz_readers import READERS, Reader

SECONDS, MEMORY = 5.0, 1 << 30
STARTING = 120.0  # seconds that a worker may take before its first input


# --- a worker: reads inputs one after the other, and tells what became of each ----------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of an input: "read", "refused", "unexpected", "slow" or "large", and why."""

    kind: str
    seconds: float = 0.0
    memory: int = 0
    why: str = ""


def outcome_of(reader: Reader, path: Path) -> Outcome:
    """Read a file, and measure."""
    _reset_peak()
    before, began = _memory("VmRSS"), time.perf_counter()
    kind, why = "read", ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except (ValueError, OSError) as error:
        kind, why = "refused", f"{error}"
    except MemoryError:
        kind = "large"
    except BaseException as error:  # whatever it is: that is what is looked for
        kind, why = "unexpected", f"{type(error).__name__}: {error}"
    seconds, memory = time.perf_counter() - began, _memory("VmHWM") - before
    kind = "slow" if seconds > SECONDS else "large" if memory > MEMORY else kind
    return Outcome(kind, seconds, max(memory, 0), why[:300])


def _memory(what: str) -> int:
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(what))


def _reset_peak() -> None:
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def work(name: str, seed: int) -> None:
    """Read the numbers of inputs from standard input; write an outcome a line."""
    import torch

    torch.set_num_threads(1)
    reader = READERS[name]
    answers, sys.stdout = sys.stdout, sys.stderr
    seeds = sound_files(reader)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input{reader.suffix}"
        for sound in seeds:  # imports what reading needs, and shows that the seeds are sound
            path.write_bytes(sound)
            reader.read(path)
        limit = _memory("VmSize") + MEMORY + (256 << 20)  # addresses, of which more are taken than memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        print(json.dumps("ready"), file=answers, flush=True)
        for line in sys.stdin:
            path.write_bytes(input_of(reader, seeds, name, seed, int(line)))
            print(json.dumps(vars(outcome_of(reader, path))), file=answers, flush=True)


# --- the parent: hands out inputs, ends workers that hang, counts ----------------------------------------------------


@dataclass
class Tally:
    """The outcomes of one reader."""

    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    largest: int = 0
    defects: list[str] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome) -> None:
        """Count an outcome."""
        self.kinds[outcome.kind] += 1
        self.slowest, self.largest = max(self.slowest, outcome.seconds), max(self.largest, outcome.memory)
        if outcome.kind not in ("read", "refused"):
            self.defects.append(f"{number}: {outcome.kind}, {outcome.why}")


class Worker:
    """A process that reads inputs, and is ended when one takes too long."""

    def __init__(self, name: str, seed: int) -> None:
        command = [sys.executable, "-m", "tools.fuzz", "--work", name, "--seed", str(seed)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        if self._answer(STARTING) != "ready":
            raise RuntimeError(f"the worker for {name} does not start; run python -m tools.fuzz --work {name}")

    def outcome(self, number: int) -> Outcome | None:
        """Have an input read; None if the process had to be ended, or has ended itself."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        answer = self._answer(2 * SECONDS)
        return Outcome(**answer) if isinstance(answer, dict) else None

    def close(self) -> int | None:
        """End the process, and return the status that it had ended with before; None if it ran."""
        status = self._process.poll()
        self._process.kill()
        self._process.wait()
        return status

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            self._answers.put(line)
        self._answers.put("null")

    def _answer(self, seconds: float) -> Any:
        try:
            return json.loads(self._answers.get(timeout=seconds))
        except queue.Empty:
            return None


def fuzz(name: str, seed: int, first: int, count: int) -> Tally:
    """Feed one reader with inputs."""
    tally, worker = Tally(), Worker(name, seed)
    for number in range(first, first + count):
        outcome = worker.outcome(number)
        if outcome is None:
            status = worker.close()
            ended = f"the process ended with {status}" if status is not None else "the process had to be ended"
            outcome = Outcome(
                "slow" if status is None else "unexpected", 2 * SECONDS if status is None else 0, 0, ended
            )
            worker = Worker(name, seed)
        tally.add(number, outcome)
    worker.close()
    return tally


def table(tallies: dict[str, Tally]) -> str:
    """Return the summary as a table in Markdown."""
    rows = [
        "| reader | inputs | read | refused | unexpected | > 5 s | > 1 GB | slowest | most memory |",
        "| --- " * 9 + "|",
    ]
    total: Counter[str] = Counter()
    for name, tally in tallies.items():
        total += tally.kinds
        rows.append(_row(name, tally.kinds, f"{tally.slowest:.2f} s", f"{tally.largest >> 20} MB"))
    slowest, largest = (max(getattr(tally, what) for tally in tallies.values()) for what in ("slowest", "largest"))
    return "\n".join([*rows, _row("all", total, f"{slowest:.2f} s", f"{largest >> 20} MB")])


def _row(name: str, kinds: Counter[str], slowest: str, largest: str) -> str:
    counts = (kinds.total(), *(kinds[kind] for kind in ("read", "refused", "unexpected", "slow", "large")))
    return "| " + " | ".join([name, *(f"{count:,}" for count in counts), slowest, largest]) + " |"


def main() -> int:
    """Read the options, and feed the readers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100, metavar="N", help="for each reader (default: 100)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first input (default: 0)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    parser.add_argument("--reader", nargs="+", choices=READERS, default=list(READERS), help="(default: all)")
    parser.add_argument("--work", choices=READERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # small .nnp files are made there
    if options.work:
        work(options.work, options.seed)
        return 0
    tallies = {}
    for name in options.reader:
        tallies[name] = fuzz(name, options.seed, options.first, options.inputs)
        for defect in tallies[name].defects:
            print(f"{name} {defect}", flush=True)
    print(table(tallies))
    return int(any(tally.defects for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
