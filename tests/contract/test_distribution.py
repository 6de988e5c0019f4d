"""What is published: the wheel and the source archive, built, checked, installed bare, and tried."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from helpers import missing
from helpers.paths import ROOT

from pytorch_grad_cam import __version__

pytestmark = pytest.mark.slow
LEFT = ("__pycache__", "build", "dist", "output", "*.egg-info", ".*", "results", "notebooks")
BESIDE = {"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "CITATION.cff", "pyproject.toml", "setup.py"}


def command(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run something in a folder, without the variables and paths by which it would find this tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    return subprocess.run(list(map(str, words)), cwd=folder, env=kept, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel that is built from that."""
    missing.package("build")
    folder = tmp_path_factory.mktemp("distribution")
    shutil.copytree(ROOT, folder / "tree", ignore=shutil.ignore_patterns(*LEFT))
    done = command(
        sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "tree", folder=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"tracelesscam-{__version__}-py3-none-any.whl"


def of_the_tree() -> set[str]:
    files = (path for path in (ROOT / "pytorch_grad_cam").rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if ".dist-info/" not in name}
    assert package == of_the_tree()
    assert {"py.typed", "__init__.pyi"} <= {PurePosixPath(name).name for name in package}
    assert "pytorch_grad_cam/models/assets/shapes.pth" in package
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_source_archive_holds_the_same_and_no_tests(built: Path) -> None:
    with tarfile.open(built / f"tracelesscam-{__version__}.tar.gz") as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert {name for name in names if name.startswith("pytorch_grad_cam/")} == of_the_tree()
    assert names >= BESIDE
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "tools/", "docs/"))]


def test_an_index_would_take_them(built: Path) -> None:
    missing.package("twine")
    done = command(sys.executable, "-m", "twine", "check", "--strict", *sorted(built.iterdir()), folder=built)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_it_works_where_nothing_else_is(wheel: Path, tmp_path: Path) -> None:
    """First with Python alone, then beside what it requires; in both it is the installed one that runs."""
    python, cam = tmp_path / "venv/bin/python", tmp_path / "venv/bin/cam"
    assert command(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path).returncode == 0
    done = command(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, folder=tmp_path)
    assert done.returncode == 0, done.stderr

    imported = command(python, "-c", "import pytorch_grad_cam as p; print(p.__version__, p.__file__)", folder=tmp_path)
    version, file = imported.stdout.split()
    assert version == __version__
    assert Path(file).is_relative_to(tmp_path)
    assert command(cam, "--version", folder=tmp_path).stdout.strip() == f"cam {__version__}"
    assert "cam [COMMAND] PICTURE" in command(cam, "--help", folder=tmp_path).stdout
    doctor = command(cam, "doctor", folder=tmp_path)
    assert doctor.returncode == 1
    assert "error: missing: torch, torchvision, numpy" in doctor.stderr

    (own,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (own / "beside.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")  # searched after its own
    picture = ROOT / "examples" / "images" / "scene_star_ring.png"
    done = command(cam, picture, "--model", "shapes", "--save", "overlay", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output" / "gradcam_cam.jpg").stat().st_size > 1000
    done = command(python, "-c", "import pytorch_grad_cam.grad_cam as g; print(g.__file__)", folder=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
