"""The options of `cam demo`, which need no Gradio."""

from __future__ import annotations

import sys

import pytest

from pytorch_grad_cam.cli.demo import parse
from pytorch_grad_cam.cli.main import main


def test_help_needs_no_gradio(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["demo", "--help"]) == 0
    assert "--max-passes" in capsys.readouterr().out


def test_without_gradio_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "error: this needs the package gradio, which is missing: pip install gradio\n"


def test_networks() -> None:
    assert parse("cam demo", []).models == ("shapes",)
    several = parse("cam demo", ["--model", "resnet18", "--model", "shapes", "--model", "resnet18"])
    assert several.models == ("resnet18", "shapes")
    assert several.model == "resnet18"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "a", "--model", "b", "--weights", "w.pt", "--size", "64"], "--weights, --size would go for all"),
        (["--port", "0"], "'0' is not a port, 1 to 65535"),
        (["--max-passes", "none"], "is not a positive number of passes"),
        (["--queue", "-1"], "is not a positive number of questions"),
        (["--modell", "a"], "did you mean --model?"),
    ],
)
def test_mistakes(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("cam demo", arguments)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err
