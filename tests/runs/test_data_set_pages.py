"""The commands and the Python of docs/data_sets.md work as they stand there, on a small network and a few pictures."""

from __future__ import annotations

import re
import shlex
import shutil
import tarfile
from pathlib import Path

import pytest
from helpers.paths import ROOT

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.runs.opened_run import open_run

PAGE = (ROOT / "docs" / "data_sets.md").read_text(encoding="utf-8")
SCENE = ROOT / "examples" / "images" / "scene_star_ring.png"


@pytest.fixture
def pictures(here: Path) -> Path:
    """The picture of the page, as a folder, a table and a tar archive."""
    (here / "photos").mkdir()
    shutil.copy(SCENE, here / "photos" / "scene.png")
    (here / "photos.csv").write_text("path,label\nphotos/scene.png,ring\n", encoding="utf-8")
    (here / "shards").mkdir()
    for number in range(4):
        with tarfile.open(here / "shards" / f"train-{number:03d}.tar", "w") as archive:
            archive.add(SCENE, f"{number:04d}.png")
    return here


def commands() -> list[str]:
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    return block.strip().splitlines()


@pytest.mark.parametrize("command", commands())
def test_commands(command: str, pictures: Path) -> None:
    words = shlex.split(command)
    assert words[:2] == ["python", "cam.py"]
    assert main([*words[2:], "--model", "shapes"]) == 0
    assert len(open_run("RUN")) == (4 if "shards" in command else 1)


def test_python(pictures: Path) -> None:
    first, second, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(first, names)
    assert main(["run", "photos", "--output-dir", "RUN", "--model", "shapes", "--save", "npy"]) == 0
    exec(second, names)
    assert len(names["table"]) == 1  # type: ignore[arg-type]
