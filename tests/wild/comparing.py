"""Compare what programs found with two packages, whole or by a few numbers that are stored.

``results.json`` holds, for every program, the facts that grad-cam 1.5.7 gives and of each array its shape, mean,
deviation, largest absolute value and a few places. ``python -m wild.comparing`` writes it anew (see there).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wild.running import PROGRAMS, Outcome, program

RESULTS = Path(__file__).with_name("results.json")
PEER = "1.5.7"
TOLERANCE = 1e-4  # of an array's largest value
PLACES = 12
DIGITS = 6


def summary(array: np.ndarray) -> dict[str, Any]:
    """Return an array's shape and numbers that another array of this shape hardly has."""
    values = np.asarray(array, np.float64).ravel()
    places = values[np.linspace(0, values.size - 1, PLACES).round().astype(int)]
    numbers = [values.mean(), values.std(), np.abs(values).max(), *places]
    return {"shape": list(array.shape), "numbers": [float(f"{number:.{DIGITS}g}") for number in numbers]}


def stored(outcome: Outcome) -> dict[str, Any]:
    """Return what is stored of a program."""
    return {"arrays": {name: summary(array) for name, array in outcome.arrays.items()}, "facts": outcome.facts}


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Compare two of ``stored``: the name of each array or fact that differs, and how."""
    for kind in ("arrays", "facts"):
        for name in sorted(found[kind].keys() ^ wanted[kind].keys()):
            yield name, f"only one of the two has it among its {kind}"
    for name in wanted["arrays"].keys() & found["arrays"].keys():
        yield from _of_arrays(name, found["arrays"][name], wanted["arrays"][name])
    for name in wanted["facts"].keys() & found["facts"].keys():
        mine, other = found["facts"][name], wanted["facts"][name]
        close = isinstance(mine, float) and abs(mine - other) <= TOLERANCE * max(1, abs(other))
        if mine != other and not close:
            yield name, f"{mine!r}, not {other!r}"


def _of_arrays(name: str, mine: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if mine["shape"] != other["shape"]:
        yield name, f"shape {mine['shape']}, not {other['shape']}"
        return
    largest = other["numbers"][2]
    distance = np.abs(np.subtract(mine["numbers"], other["numbers"])).max()
    if not distance <= TOLERANCE * largest:
        yield name, f"{distance:.3g} away, where the largest value is {largest:.3g}"


def whole_differences(found: Outcome, wanted: Outcome) -> Iterator[tuple[str, str]]:
    """Compare two outcomes value by value."""
    for name, how in differences(stored(found), stored(wanted)):
        yield name, how
    for name in wanted.arrays.keys() & found.arrays.keys():
        mine, other = (np.asarray(outcome.arrays[name], np.float64) for outcome in (found, wanted))
        if mine.shape == other.shape and not np.abs(mine - other).max() <= TOLERANCE * np.abs(other).max():
            yield name, f"{np.abs(mine - other).max():.3g} away"


def unexpected(name: str, differing: Iterator[tuple[str, str]]) -> list[str]:
    """Say what differs though the program names no row of the list of differences for it, and the other way round."""
    rows = getattr(program(name), "DIFFERENCES", {})
    seen = dict(differing)
    wrong = [f"{key}: {how}" for key, how in seen.items() if key not in rows]
    return wrong + [
        f"{key}: the same, though row {row} says it differs" for key, row in rows.items() if key not in seen
    ]


def run_with(paths: list[Path], folder: Path, names: list[str]) -> dict[str, Outcome]:
    """Run programs in other processes that find the package in the first of the paths."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "wild.running", str(folder), *names]
    subprocess.run(command, check=True, env=environment, cwd=folder, capture_output=True)
    return {name: Outcome.read(folder / name) for name in names}


def write_results(paths: list[Path]) -> None:
    """Run every program with the package in the first of the paths, and store its numbers."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run_with(paths, Path(folder), PROGRAMS)
    failed = {name: outcome.error for name, outcome in outcomes.items() if outcome.error}
    if failed:
        raise RuntimeError(f"these failed with grad-cam {PEER}: {failed}")
    rows = [f"{json.dumps(name)}: {json.dumps(stored(outcome))}" for name, outcome in outcomes.items()]
    RESULTS.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":  # in the repository: PYTHONPATH=.:tests python -m wild.comparing, after benchmarks.peers
    from benchmarks import peers

    if peers.versions().get("grad-cam") != PEER:
        raise SystemExit(f"grad-cam {PEER} is not in {peers.folder()}; run python -m benchmarks.peers")
    write_results([peers.folder(), Path(__file__).parents[1]])
