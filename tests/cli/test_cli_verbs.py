"""The verbs ``methods`` and ``layers``, and words that are none."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import missing
from helpers.colour_net import NET, red_and_blue
from helpers.paths import ROOT
from torch import Tensor, nn

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.engine.executed_layers import report_layers
from pytorch_grad_cam.methods import METHODS


def test_methods_are_listed_at_once() -> None:
    start = time.perf_counter()
    run = subprocess.run([sys.executable, "cam.py", "methods"], cwd=ROOT, capture_output=True, text=True, check=True)
    first = time.perf_counter() - start
    code = (
        "import sys; from pytorch_grad_cam.cli.main import main; main(['methods']);"
        "assert not {'torch', 'numpy', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert first < 5  # a busy machine; that nothing heavy is loaded is what makes it fast
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["method", "highlights", "passes", "source"]
    for line, method in zip(lines[1:], METHODS.values(), strict=False):
        assert line.startswith(f"{method.name} ")
        assert all(part in line for part in (method.summary, method.passes, method.source))
    assert "Ft, Bt: only through what follows the layer" in run.stdout


@pytest.mark.parametrize("model", ["squeezenet1_1", "lraspp_mobilenet_v3_large", "timm/resnet10t"])
def test_layers_need_no_weights(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", None)  # whoever asks the net fails
    if model.startswith("timm/"):
        missing.package("timm")
    assert main(["layers", "--model", model, "--size", "64"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{model}, random weights, for an input of 64 x 64")
    assert "the automatic choice" in printed


def test_layers_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    red_and_blue(tmp_path / "a.png")
    for picture in ([], ["--image-path", str(tmp_path / "a.png")]):
        assert main(["layers", *NET, *picture]) == 0
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert lines == [
            "two colours, for an input of 40 x 40",
            "layer type output target layer?",
            "colours Sequential 3 x 40 x 40 yes, the automatic choice",
            "colours.0 Conv2d 3 x 40 x 40 yes",
            "colours.1 ReLU 3 x 40 x 40 yes",
            "pool AdaptiveAvgPool2d 3 x 1 x 1 no: has one position only",
        ]
    assert main(["layers", *NET, "--image-path", str(tmp_path / "b.png")]) == 1
    assert "there is no file" in capsys.readouterr().err


def test_words_that_are_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    for argv, message in (
        (["layer"], "'layer' is neither a command nor a picture; did you mean 'layers'?"),
        (["layers", "a.jpg", "b.jpg"], "unrecognized arguments: b.jpg"),
        (["methods", "--all"], "unrecognized arguments: --all"),
        (["layers", "--method", "gradcam"], "unrecognized arguments: --method gradcam"),
        (["--image-path", "a", "--save", "everything"], "invalid choice: 'everything'"),
        (["--image-path", "a", "--colormap", "red"], "unknown colormap 'red'; known: jet, turbo"),
        (["--image-path", "a", "--image-weight", "2"], "'2' is not a number from 0 to 1"),
        (["--image-path", "a", "--batch-size", "none"], "'none' is not a positive number of inputs"),
        (["--image-path", "a", "--seed", "-1"], "'-1' is not a whole number from 0"),
        (["--image-path", "a", "--box-threshold", "p100"], "'p100' is no threshold; give a share"),
        (["explain"], "required: --image-path"),
    ):
        assert main(argv) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert message in captured.err
        assert not captured.out


class Odd(nn.Module):
    """Has a layer of every kind that cannot be a target layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.several = nn.ModuleList([nn.Identity()])
        self.unused = nn.Conv2d(4, 4, 1)
        self.tokens = nn.LayerNorm(4)
        self.swapped = nn.Identity()
        self.pair = nn.MaxPool2d(2, return_indices=True)
        self.fc = nn.Linear(4, 2)
        self.end = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.several[0](self.conv(x))
        tokens = self.tokens(x.flatten(2).transpose(1, 2))
        self.swapped(tokens.transpose(0, 1))
        self.pair(x)
        out: Tensor = self.end(self.fc(tokens.mean(1)) + 0)
        return out


def test_why_a_layer_cannot_be_a_target() -> None:
    model, inputs = Odd().eval(), torch.zeros(2, 3, 4, 5)
    reports = {each.name: each for each in report_layers(model, lambda: model(inputs), inputs)}
    assert {name: each.problem for name, each in reports.items()} == {
        "conv": "",
        "several": "a container, which has no output of its own",
        "several.0": "",
        "unused": "did not run on this input",
        "tokens": "",
        "swapped": "its first axis is not the batch: needs a reshape_transform",
        "pair": "",
        "fc": "has no positions",
        "end": "is the model's output",
    }
    assert reports["conv"].shape == (4, 4, 5)
    assert reports["tokens"].layout == "tokens in a grid of 4 x 5"
    assert reports["pair"].shape is None
    assert reports["conv"].kind == "Conv2d"

    def to_grid(tokens: Tensor) -> Tensor:
        return tokens.transpose(1, 2).reshape(2, 4, 4, 5)

    with_grid = {each.name: each.problem for each in report_layers(model, lambda: model(inputs), inputs, to_grid)}
    assert not with_grid["tokens"]
    assert not with_grid["conv"]
    assert with_grid["fc"] == "the model's reshape_transform does not take its output"
