"""What is copied to a hosted space fits this project."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib

import pytest
from helpers.paths import ROOT

from pytorch_grad_cam.cli import main as entrance
from pytorch_grad_cam.cli.demo import parse
from pytorch_grad_cam.methods import METHODS

SPACE = ROOT / "examples" / "space"
HEADER = dict(re.findall(r"^(\w+): (.+)$", (SPACE / "README.md").read_text(encoding="utf-8").split("---")[1], re.M))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_it_installs_what_the_demo_needs() -> None:
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["demo"]]
    assert (SPACE / "requirements.txt").read_text(encoding="utf-8").split() == needed
    assert f"gradio=={HEADER['sdk_version']}" in (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8")
    assert HEADER["python_version"].strip('"') == PROJECT["requires-python"].removeprefix(">=")
    assert len({method.name for method in METHODS.values()}) >= int(re.findall(r"\d+", HEADER["short_description"])[0])


def test_it_starts_the_demo_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(entrance, "main", lambda arguments: given.extend(arguments) or 0)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SPACE / HEADER["app_file"]), run_name="__main__")
    assert stop.value.code == 0
    assert given[0] == "demo"
    options = parse("cam demo", given[1:])
    assert (options.host, options.port) == ("0.0.0.0", 7860)  # what a space serves
    assert options.models[0] == "shapes"
    assert not {name for name in sys.modules if name.partition(".")[0] == "gradio"}
