"""docs/wishes.md: all lines run, every number is the number of statements, and no library needs fewer.

Those of the other libraries run with ``pytest -m peers``, which needs them (``python -m benchmarks.peers``).
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.paths import ROOT
from helpers.tiny_nets import ConvNet, TinyViT, UNet, build, inputs

import pytorch_grad_cam
from benchmarks import peers
from pytorch_grad_cam.evaluation import compare

PAGE = (ROOT / "docs" / "wishes.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \[(.+?)\]\(#\S+\) \| (.+) \|$", PAGE, re.MULTILINE)
LIBRARIES = ("", "grad-cam", "torchcam", "Captum")


def programs(wish: str) -> dict[str, str]:
    """Return the lines of each library, ours as "", for a wish."""
    (section,) = re.findall(rf"^## \d+\. {re.escape(wish)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r'^```python(?: title="(\S+)")?\n(.*?)^```', section, re.MULTILINE | re.DOTALL))


def statements(program: str) -> int:
    return sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(program)))


def test_there_are_ten() -> None:
    assert len(ROWS) == 10
    assert statements("with a:\n    b = 1\n    c = 2\n") == 3


@pytest.mark.parametrize(("wish", "cells"), ROWS, ids=[wish for wish, _ in ROWS])
def test_the_numbers_are_those_of_the_lines_and_ours_is_least(wish: str, cells: str) -> None:
    lines = programs(wish)
    counted = [str(statements(lines[library])) if library in lines else "-" for library in LIBRARIES]
    assert cells.split(" | ") == counted
    assert int(counted[0]) == min(int(cell) for cell in counted if cell != "-")
    assert "\n    " not in lines[""]
    assert max(map(len, lines[""].splitlines())) <= 100


@pytest.mark.filterwarnings("ignore:.*not every map means something")
@pytest.mark.parametrize("wish", [wish for wish, _ in ROWS])
def test_our_lines_run(wish: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for place in ("scene.png", "photos/a.png", "photos/b.png"):
        shutil.copy(ROOT / "examples" / "images" / "scene_star_ring.png", place)
    ours = ("GradCAM", "IntegratedGradients", "load_explainer")
    names: dict[str, Any] = {name: getattr(pytorch_grad_cam, name) for name in ours}
    networks = {"model": build(ConvNet, seed=3), "vit": build(TinyViT), "segmenter": build(UNet)}
    names |= {**networks, "x": inputs(size=(6, 10)), "Path": Path, "compare": compare, "torch": torch}
    exec(programs(wish)[""], names)
    if "maps" in names:
        assert len(names["maps"]) == len(names["x"])
        assert torch.as_tensor(names["maps"]).any()
    if "values" in names:
        assert names["values"].shape == names["x"].shape
    if "found" in names:
        assert [len(each.maps) for each in names["found"]] == [1, 1]
    assert Path("map.png").exists() == ("map.png" in programs(wish)[""])


@pytest.mark.peers
@pytest.mark.parametrize("library", LIBRARIES[1:])
def test_the_lines_of_others_run(library: str, tmp_path: Path) -> None:
    if library.lower() not in peers.versions():
        pytest.skip(f"{library} is not installed; run python -m benchmarks.peers")
    (tmp_path / "photos").mkdir()
    for place in ("scene.png", "photos/a.png", "photos/b.png"):
        shutil.copy(ROOT / "examples" / "images" / "scene_star_ring.png", tmp_path / place)
    lines = {wish: programs(wish)[library] for wish, _ in ROWS if library in programs(wish)}
    assert len(lines) >= 5
    path = os.pathsep.join([str(peers.folder()), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests" / "helpers" / "wish_program.py"), library],
        cwd=tmp_path, input=json.dumps(lines), env=peers.limited(1) | {"PYTHONPATH": path, "MPLBACKEND": "agg"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert set(results) == set(lines)
    shown = {wish for wish in lines if "print(" in lines[wish]}
    assert {wish for wish, size in results.items() if not size > 0} == shown
