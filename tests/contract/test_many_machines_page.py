"""Every command of docs/many_machines.md is run: those of launchers that are not here as they start them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers import missing
from helpers.paths import ROOT
from helpers.run_pictures import results, write_pictures

from pytorch_grad_cam.cli.main import main

pytestmark = pytest.mark.again

TEXT = (ROOT / "docs" / "many_machines.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"^```bash\n(.*?)^```", TEXT, re.M | re.S) for line in block.splitlines()]
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
(PLAIN, DEVICES, *SHARES, MERGE, TORCHRUN, SBATCH, SRUN, INSTALL, RAY) = COMMANDS
(SPARK, FOUND) = PYTHON


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder, before = tmp_path_factory.mktemp("whole"), Path.cwd()
    write_pictures(folder / "photos", 70)
    os.chdir(folder)
    try:
        assert run(PLAIN) == 0
        exec(FOUND, {})
    finally:
        os.chdir(before)
    return results(folder / "RUN")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path / "photos", 70)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())


def run(line: str) -> int:
    program, script, *arguments = shlex.split(line)
    assert (program, script) == ("python", "cam.py")
    return main(arguments)


def run_whole(line: str) -> None:
    """Run a command in a program of its own, with the repository's cam.py."""
    words = [sys.executable, *(str(ROOT / word) if word == "cam.py" else word for word in shlex.split(line)[1:])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_shares(whole: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert [run(line) for line in (*SHARES, MERGE)] == [0] * (len(SHARES) + 1)
    assert results("RUN") == whole
    assert "written:    RUN/index.jsonl, 70 pictures" in capsys.readouterr().out


def test_slurm(whole: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the tasks are started by Slurm, by its documentation: there is none here."""
    word, array, wrap, line = shlex.split(SBATCH)
    assert (word, wrap) == ("sbatch", "--wrap")
    first, last = map(int, array.removeprefix("--array=").split("-"))
    for task in range(first, last + 1):
        with monkeypatch.context() as patched:
            for name, value in (("ID", task), ("MIN", first), ("MAX", last), ("COUNT", last - first + 1), ("STEP", 1)):
                patched.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
            assert run(line) == 0
    assert results("RUN") == whole
    Path("RUN").rename("of the array")
    word, tasks, line = SRUN.split(maxsplit=2)
    count = int(tasks.removeprefix("--ntasks="))
    for task in range(count):
        with monkeypatch.context() as patched:
            patched.setenv("SLURM_PROCID", str(task))
            patched.setenv("SLURM_STEP_NUM_TASKS", str(count))
            assert run(line) == 0
    assert results("RUN") == whole


@pytest.mark.slow
@pytest.mark.parametrize("line", [DEVICES, TORCHRUN], ids=["devices", "torchrun"])
def test_several_processes(line: str, whole: dict[str, str]) -> None:
    run_whole(line)
    assert results("RUN") == whole


@pytest.mark.ray
def test_ray(whole: dict[str, str]) -> None:
    missing.package("ray")
    run_whole(RAY)
    assert results("RUN") == whole


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore")
def test_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    missing.package("pyspark")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of Spark's workers
    names: dict[str, object] = {}
    try:
        # Spark's own process keeps the folder in which it was first started, by another test.
        exec(re.sub(r'"(photos|explained)"', lambda name: repr(str(Path(name[1]).absolute())), SPARK), names)
        rows = names["spark"].read.parquet(str(Path("explained").absolute())).collect()  # type: ignore[attr-defined]
    finally:
        names["spark"].stop()  # type: ignore[attr-defined]
    assert len(rows) == 70
    assert {row.found.error for row in rows} == {""}


def test_what_is_installed_is_the_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    package = shlex.split(INSTALL)[-1]
    assert any(each.startswith(package) for each in extras["ray"])
