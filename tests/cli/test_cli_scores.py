"""What the command line says of scores: one score is no or yes, and shares are what the network means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import write_image

NETS = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, count, end=nn.Identity()):
        torch.manual_seed(0)
        pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        super().__init__(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), *pooled, nn.Linear(4, count), end)
        with torch.no_grad():
            self[4].bias.copy_(torch.arange(count) + 1.0)

def one(): return Net(1)
def one_flat(): return Net(1, nn.Flatten(0))
def one_sigmoid(): return Net(1, nn.Sigmoid())
def five(): return Net(5)
def labels(): return Net(5, nn.Sigmoid())
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a picture and the module nets_of_scores."""
    (tmp_path / "nets_of_scores.py").write_text(NETS)
    write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def explain(name: str, *more: str) -> int:
    given = ["--image-path", "a.png", "--model", f"nets_of_scores:{name}", "--method", "hirescam", "--size", "32"]
    return main([*given, "--overwrite", "--save", "json", "npy", *more])


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path("output") / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", ["one", "one_flat", "one_sigmoid"])
def test_one_score_is_no_or_yes(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(name) == 0
    said = capsys.readouterr().out
    yes = record("hirescam")
    shares = {each["name"]: each["share"] for each in yes["predicted"]}
    number = yes["score"] if name == "one_sigmoid" else 1 / (1 + np.exp(-yes["score"]))
    assert shares == {"yes": pytest.approx(number, abs=1e-5), "no": pytest.approx(1 - number, abs=1e-5)}
    assert f"{100 * shares['yes']:.1f} %  1 yes" in said
    assert f"{100 * shares['no']:.1f} %  0 no" in said
    assert "explained:  1 yes (the network's one score)" in said
    assert yes["class"] == {"index": 1, "name": "yes"}
    assert yes["scores"]["kind"] == "sigmoid"
    for typed, index in (("no", 0), ("0", 0), ("Yes", 1), ("1", 1)):
        explain(name, "--target", typed)
        found = record("hirescam")
        assert found["class"] == {"index": index, "name": ("no", "yes")[index]}
        assert found["score"] == pytest.approx(yes["score"] if index else -yes["score"])
    explain(name, "--contrast", "yes", "no")
    found = record("hirescam_1_yes_rather_than_0_no")
    assert found["score"] == pytest.approx(yes["score"])
    assert found["rather_than"] == {"index": 0, "name": "no"}


def test_the_same_in_python(here: Path) -> None:
    import nets_of_scores  # type: ignore[import-not-found]

    assert explain("one", "--target", "yes", "--scores", "sigmoid") == 0
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert HiResCAM(nets_of_scores.one(), "0").explain(x, relu=False).classes == (1,)


def test_names_of_one_score(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("one", "--categories", "healthy, tumour", "--target", "tumour") == 0
    assert "explained:  1 tumour" in capsys.readouterr().out
    Path("names.txt").write_text("tumour\n")
    assert explain("one", "--categories", "names.txt", "--target", "tumour", "not tumour", "--against") == 0
    assert "what speaks against 0 not tumour" in capsys.readouterr().out
    assert explain("one", "--categories", "a,b,c") == 1
    assert "3 class names, but the network has one output, which is for two classes" in capsys.readouterr().err
    assert explain("five", "--target", "yes") == 1
    assert "no class names, and not one score, whose two classes are called no and yes" in capsys.readouterr().err


def test_shares_are_what_the_network_means(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("labels") == 0
    assert "the network ends in a sigmoid" in capsys.readouterr().out
    found = record("hirescam")
    assert found["scores"] == {"kind": "multi-label", "are_shares": True, "reason": "the network ends in a sigmoid"}
    assert found["predicted"][0]["share"] == pytest.approx(found["score"], abs=1e-5)  # no function on top
    assert sum(each["share"] for each in found["predicted"]) > 1.5
    assert explain("five") == 0
    assert sum(each["share"] for each in record("hirescam")["predicted"]) == pytest.approx(1, abs=1e-4)
    assert "by softmax of the scores: one class is true; --scores says otherwise" in capsys.readouterr().out
    assert explain("five", "--scores", "none") == 0
    found = record("hirescam")
    assert found["predicted"][0]["number"] == pytest.approx(found["score"], abs=1e-5)
    assert explain("one", "--scores", "none") == 0
    assert "explained:  the network's one output" in capsys.readouterr().out
    assert explain("five", "--scores", "multi-label") == 0
    assert record("hirescam")["scores"]["reason"] == "as stated"
    assert (
        main(
            [
                "concepts",
                "--image-path",
                "a.png",
                "--model",
                "nets_of_scores:labels",
                "--size",
                "32",
                "--components",
                "2",
            ]
        )
        == 0
    )
    assert json.loads(Path("output/concepts.json").read_text())["scores"]["kind"] == "multi-label"
