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


FORMS = """
from torch import nn

def net(conv, channels):
    pool = {nn.Conv1d: nn.AdaptiveAvgPool1d, nn.Conv2d: nn.AdaptiveAvgPool2d, nn.Conv3d: nn.AdaptiveAvgPool3d}[conv]
    return nn.Sequential(conv(channels, 4, 3, 2), nn.ReLU(), pool(1), nn.Flatten(), nn.Linear(4, 2))

def volume(): return net(nn.Conv3d, 1)
def signal(): return net(nn.Conv1d, 2)
def bands(): return net(nn.Conv2d, 5)
def tokens(): return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
"""


def test_layers_of_networks_that_take_no_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "forms_of_input.py").write_text(FORMS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, more, shape, output in (
        ("volume", [], "1 x 48 x 48 x 48, channels first", "4 x 23 x 23 x 23"),
        ("volume", ["--input-shape", "1", "9", "11", "13"], "1 x 9 x 11 x 13, channels first", "4 x 4 x 5 x 6"),
        ("signal", [], "2 x 256, channels first", "4 x 127"),
        ("signal", ["--input-shape", "2", "150"], "2 x 150, channels first", "4 x 74"),
        ("bands", ["--task", "classification"], "5 x 224 x 224, channels first", "4 x 111 x 111"),
    ):
        assert main(["layers", "--model", f"forms_of_input:{name}", *more]) == 0
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert lines[0] == f"forms_of_input:{name}, for an input of {shape}"
        assert lines[3] == f"1 ReLU {output} yes, the automatic choice"
        assert lines[-1] == "4 Linear 2 no: is the model's output"
    assert main(["layers", "--model", "forms_of_input:tokens"]) == 1
    said = capsys.readouterr().err
    assert "the network does not run on an input of 224 x 224" in said
    assert "--input-shape 1 64 64 64" in said
    assert main(["layers", "--model", "forms_of_input:tokens", "--input-shape", "9", "6"]) == 0
    assert main(["layers", "--model", "forms_of_input:volume", "--input-shape", "1"]) == 1
    capsys.readouterr()
    assert main(["layers", *NET, "--image-path", "a.png", "--input-shape", "3", "9", "9"]) == 2
    assert "--input-shape takes the place of --image-path" in capsys.readouterr().err


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
