"""Read files in a process of its own with a limit on memory, and report how long each took and how much it needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MEMORY = 1 << 30  # bytes beyond what the process takes before it reads
SECONDS = 5.0

_PROGRAM = """
import importlib, json, resource, sys, time
module, name = sys.argv[1].split(":")
read = getattr(importlib.import_module(module), name)
def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(field))
warm, *paths = json.loads(sys.argv[2])
read(warm)
resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + int(sys.argv[3]),) * 2)
for path in paths:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    before, began, said = status("VmRSS"), time.perf_counter(), ""
    try:
        read(path)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps([said, time.perf_counter() - began, status("VmHWM") - before]), flush=True)
"""


@dataclass(frozen=True)
class Reading:
    """What became of a file.

    Attributes:
        said: class and text of the error; empty if it could be read.
        seconds: that it took.
        memory: bytes at its peak, beyond those before.
    """

    said: str
    seconds: float
    memory: int


def read_limited(reader: str, warm: Path, files: Mapping[str, Path]) -> dict[str, Reading]:
    """Read files by ``module:function``, which is given a path; ``warm`` is read first, and does not count."""
    paths = json.dumps([str(warm), *map(str, files.values())])
    program = [sys.executable, "-c", _PROGRAM, reader, paths, str(MEMORY)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=20 + 10 * len(files), check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == len(files), done.stderr[-2000:]
    return {name: Reading(*json.loads(line)) for name, line in zip(files, lines, strict=True)}
