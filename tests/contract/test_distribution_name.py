"""The empty distribution `grad-cam`, for packages that require that name; built and installed, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from helpers.paths import ROOT

pytestmark = pytest.mark.slow
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")


def pip(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT)] if path is None else [str(path), str(ROOT)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the distribution, from a copy of its sources, which building writes into."""
    folder = tmp_path_factory.mktemp("grad-cam")
    sources = folder / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md"):
        (sources / name).write_bytes((ROOT / "packaging" / "grad-cam" / name).read_bytes())
    done = pip("install", *OFFLINE, "--target", str(folder / "site"), str(sources))
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_it_has_the_name_and_nothing_else(installed: Path) -> None:
    (found,) = distributions(path=[str(installed)])
    assert found.metadata["Name"] == "grad-cam"
    assert tuple(map(int, found.version.split(".")[:3])) >= (1, 5, 7)
    assert found.requires == ["tracelesscam"]
    assert {path.parts[0] for path in found.files or []} == {f"grad_cam-{found.version}.dist-info"}


def test_programs_that_ask_for_grad_cam_find_ours(installed: Path) -> None:
    program = (
        "import importlib.metadata as m, pytorch_grad_cam as p; "
        "print(m.version('grad-cam'), p.__file__, p.GradCAM.explain.__module__)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, cwd=installed
    )
    version, file, module = done.stdout.split()
    assert version == "1.5.7.post1"
    assert Path(file) == ROOT / "pytorch_grad_cam" / "__init__.py"
    assert module == "pytorch_grad_cam.base_cam"


def test_pip_is_content(installed: Path) -> None:
    """Nothing is missing or in conflict, and who requires grad-cam gets no other."""
    complaints = pip("check", path=installed).stdout.splitlines()  # the environment may have some about others
    assert not [line for line in complaints if "grad-cam" in line or "tracelesscam" in line]
    done = pip("install", "--no-index", "--dry-run", "--no-deps", "grad-cam>=1.5.7", path=installed)
    assert done.returncode == 0, done.stderr
    assert "Requirement already satisfied: grad-cam>=1.5.7" in done.stdout
    without = pip("install", "--no-index", "--dry-run", "--no-deps", "grad-cam>=99", path=installed)
    assert without.returncode != 0
