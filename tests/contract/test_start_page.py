"""docs/start.md: its commands and its Python run as they stand, offline, but for the installation."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from helpers.paths import ROOT
from helpers.tiny_nets import ConvNet, build, inputs

from pytorch_grad_cam.cli.main import main

PAGE = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has the examples, as the project's has."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_the_python_of_the_page(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"model": build(ConvNet), "input_tensor": inputs()}
    found = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 3
    for block in found:
        exec(block, names)
    assert (project / "star_ring.png").stat().st_size > 1000
    assert "ring" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "result"), [(0, "*.jpg"), pytest.param(1, "evaluation.html", marks=pytest.mark.slow)]
)
def test_the_commands_of_the_page(project: Path, number: int, result: str) -> None:
    lines = re.findall(r"^python cam\.py (.+)$", PAGE, re.MULTILINE)
    assert len(lines) == 2
    assert main(shlex.split(lines[number])) == 0
    assert list((project / "output").rglob(result))
