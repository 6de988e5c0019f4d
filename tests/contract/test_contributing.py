"""The worked examples of CONTRIBUTING.md work: a method, a model source, a metric and a command."""

from __future__ import annotations

import re
import sys
import textwrap
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from helpers.independent_gradients import record
from helpers.paths import ROOT
from helpers.shortcuts import close
from helpers.tiny_nets import ConvNet, build, inputs

from pytorch_grad_cam import methods

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(title: str) -> list[str]:
    """Return the Python blocks of a section."""
    (section,) = re.findall(rf"^## {title}\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    return [
        textwrap.dedent(block) for block in re.findall(r"^ *```python\n(.*?)^ *```", section, re.MULTILINE | re.DOTALL)
    ]


def module(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Make a module of the package from its source, as if it were a file there, for one test."""
    made = ModuleType(name)
    exec(compile(source, name, "exec", dont_inherit=True), made.__dict__)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def test_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    code, row, test = blocks("Add a method")
    made = module("pytorch_grad_cam.max_grad_cam", code, monkeypatch)
    method: Any = eval(row.strip(), vars(methods))
    assert method.load() is made.MaxGradCAM
    names: dict[str, Any] = {
        "ConvNet": ConvNet,
        "build": build,
        "inputs": inputs,
        "record": record,
        "close": close,
        "torch": torch,
    }
    names["MaxGradCAM"] = made.MaxGradCAM
    exec(test, names)
    names["test_maxgradcam"]()


def test_a_model_source(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_grad_cam.models import load, sources, unknown

    code, row = blocks("Add a model source")
    module("pytorch_grad_cam.models.from_hub", code, monkeypatch)
    table = (*sources.SOURCES, eval(row.strip(), vars(sources)))
    for place in (sources, unknown):
        monkeypatch.setattr(place, "SOURCES", table)
    asked = []
    monkeypatch.setattr(torch.hub, "load", lambda *given, **options: asked.append((*given, options)) or build(ConvNet))
    loaded = load.load_model("hub/pytorch/vision:resnet18")
    assert asked == [("pytorch/vision", "resnet18", {"pretrained": True})]
    assert loaded.source == "hub/pytorch/vision:resnet18"
    with pytest.raises(ValueError, match="names no network"):
        load.load_model("hub/pytorch")
    with pytest.raises(ValueError, match="hub/OWNER/REPOSITORY:NAME"):
        load.load_model("nosuch")


def test_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("Add a metric")
    metric = module("pytorch_grad_cam.metrics.energy_inside", code, monkeypatch).EnergyInside()
    maps = np.array([[[1, 0], [3, 0]], [[0, 0], [0, 0]]], np.float32)
    found = metric(maps, np.array([[[True, True], [False, False]]] * 2))
    np.testing.assert_array_equal(found, np.array([0.25, np.nan], np.float32))


def test_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pytorch_grad_cam.cli import commands
    from pytorch_grad_cam.cli.main import main

    code, row = blocks("Add a command")
    command = eval(row.strip(), vars(commands))
    monkeypatch.setitem(commands.COMMANDS, command.name, command)
    module("pytorch_grad_cam.cli.parameters", code, monkeypatch)
    assert main(["parameters", "--model", "shapes"]) == 0
    assert re.search(r": 30\d,\d{3} parameters\n$", capsys.readouterr().out)
    assert main(["parameter"]) == 2
    assert "did you mean 'parameters'?" in capsys.readouterr().err
