"""The fuzzer: it finds what it looks for, and a small share of its inputs is read here."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from helpers.paths import ROOT

from tools.fuzz import outcome_of
from tools.fuzz_inputs import input_of, sound_files
from tools.fuzz_readers import READERS, Reader

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux does; run it there"),
    pytest.mark.filterwarnings("ignore"),  # torch's and PIL's, on damaged files
]
# Those whose seeds take no export, which takes seconds.
QUICK = [name for name in READERS if not name.startswith("pt2")]


@pytest.mark.parametrize("name", QUICK)
def test_damaged_files_are_read_or_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.fuzz.SECONDS", float("inf"))  # a machine may be busy
    reader = READERS[name]
    seeds, path = sound_files(reader), tmp_path / f"input{reader.suffix}"
    for sound in seeds:
        path.write_bytes(sound)
        assert outcome_of(reader, path).kind == "read"
    found: Counter[str] = Counter()
    for number in range(12):
        path.write_bytes(input_of(reader, seeds, name, 1, number))
        outcome = outcome_of(reader, path)
        assert outcome.kind in ("read", "refused"), f"{number}: {outcome}"
        found[outcome.kind] += 1
    assert found.total() == 12


def test_an_input_is_made_of_its_number_alone() -> None:
    reader = READERS["journal"]
    seeds = sound_files(reader)
    made = [input_of(reader, seeds, "journal", 0, number) for number in range(20)]
    assert made == [input_of(reader, seeds, "journal", 0, number) for number in range(20)]
    assert len(set(made)) > 15
    assert made != [input_of(reader, seeds, "journal", 1, number) for number in range(20)]


def _raises(path: Path) -> None:
    raise KeyError("name")


def test_what_it_looks_for_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.touch()
    outcome = outcome_of(Reader("", _raises, list), path)
    assert (outcome.kind, outcome.why) == ("unexpected", "KeyError: 'name'")
    monkeypatch.setattr("tools.fuzz.MEMORY", 1 << 24)
    assert outcome_of(Reader("", lambda path: b"x" * (1 << 26), list), path).kind == "large"
    monkeypatch.setattr("tools.fuzz.SECONDS", 0.01)
    assert outcome_of(Reader("", lambda path: time.sleep(0.02), list), path).kind == "slow"


@pytest.mark.parametrize("name", QUICK)
def test_sound_files_are_the_same_at_any_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sound_files(READERS[name])
    torch.rand(3)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *given: time.gmtime(2e9))
    assert sound_files(READERS[name]) == before


@pytest.mark.slow
def test_the_program() -> None:
    command = [sys.executable, "-m", "tools.fuzz", "--inputs", "30"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"| all | {30 * len(READERS)} |")
