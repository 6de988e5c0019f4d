"""The verb ``concepts`` on a network that sees red and blue."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.colour_net import NET, red_and_blue
from helpers.paths import ROOT
from PIL import Image

from pytorch_grad_cam.cli.main import main

K2 = [*NET, "--components", "2"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.chdir(tmp_path)
    red_and_blue(tmp_path / "a.png")
    return tmp_path


def test_one_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # one picture's files are replaced
        assert main(["concepts", "--image-path", "a.png", *K2]) == 0
    out, err = capsys.readouterr()
    assert not err
    # The red patch is 16 columns wide, the blue one 14, as high as each other; their edges are blurred.
    lines = out[: len(out) // 2].splitlines()
    assert lines == [
        "model:      two colours; sees its centre at 40 x 40, mean 0 0 0, std 1 1 1",
        "scores:     shares by softmax of the scores: one class is true",
        "layer:      colours (chosen automatically)",
        "concepts:   concept 1: 54 %, 0 red 100.0 %, 1 dark blue 0.0 %",
        "            concept 2: 46 %, 1 dark blue 100.0 %, 0 red 0.0 %",
        "explained:  100.0 % of the activations' energy",
        "written:    output/a_concepts.jpg",
        "            output/concepts.json",
    ]
    with Image.open("output/a_concepts.jpg") as image:
        drawn = np.asarray(image).astype(int)
    picture = red_and_blue().astype(int)
    assert drawn.shape[0] == 60
    assert drawn.shape[1] > 90  # the legend is beside it
    assert np.abs(drawn[:, :14] - picture[:, :14]).max() < 8  # the network never saw the sides
    assert np.abs(drawn[30, 32] - [255, 0, 0]).max() < 8  # red, the first concept
    assert np.abs(drawn[30, 63] - [0, 178, 255]).max() < 8  # 0.3 blue + 0.7 cyan, the second
    assert np.abs(drawn[5, 45] - 0.3 * 128).max() < 8  # nothing there
    found = json.loads(Path("output/concepts.json").read_text(encoding="utf-8"))
    assert found["layer"] == "colours"
    assert found["model"] == "two colours"
    assert found["error"] < 1e-3
    first, second = found["concepts"]
    assert first["energy"] + second["energy"] == pytest.approx(1)
    assert first["colour"] == [255, 0, 0]
    assert first["classes"][0] == {"index": 0, "name": "red", "share": 1.0}
    assert second["classes"][0]["name"] == "dark blue"
    (shown,) = found["pictures"]
    assert shown["picture"] == "a.png"
    assert shown["file"] == "a_concepts.jpg"
    assert shown["mean_strength"][0] > shown["mean_strength"][1] > 0


def test_several_pictures_share_their_concepts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photos").mkdir()
    red = red_and_blue()
    red[:, 50:] = 128
    Image.fromarray(red).save(here / "photos" / "red.png")
    (here / "photos" / "broken.png").write_bytes(b"nothing")
    command = ["concepts", "--image-path", "a.png", "photos", *K2, "--output-dir", "out", "--top-k", "1"]
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert "photos/broken.png is not a picture" in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "a_concepts.jpg",
        "concepts.json",
        "red_concepts.jpg",
    ]
    found = json.loads(Path("out/concepts.json").read_text(encoding="utf-8"))
    both, only = (each["mean_strength"] for each in found["pictures"])
    assert both[0] == pytest.approx(only[0], abs=1e-4)
    assert only[1] == pytest.approx(0, abs=1e-4)
    assert [len(each["classes"]) for each in found["concepts"]] == [1, 1]
    assert "0 red 100.0 %" in out
    assert main(command) == 1
    assert "out/a_concepts.jpg and 2 more exist already; --overwrite replaces" in capsys.readouterr().err
    (here / "photos" / "broken.png").unlink()
    assert main([*command, "--overwrite"]) == 0


def test_a_layer_and_a_seed_can_be_chosen(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["concepts", "--image-path", "a.png", *K2, "--target-layer", "colours.0", "--seed", "3"]) == 0
    assert "layer:      colours.0\n" in capsys.readouterr().out
    assert json.loads(Path("output/concepts.json").read_text(encoding="utf-8"))["seed"] == 3


def test_what_goes_wrong_is_said_in_a_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv, code, message in (
        ([], 2, "required: --image-path"),
        (["--image-path", "a.png", "--components", "0"], 2, "'0' is not a positive number"),
        (["--image-path", "a.png", "--image-weight", "2"], 2, "'2' is not a number from 0 to 1"),
        (["--image-path", "a.png", *NET, "--components", "4"], 1, "4 concepts were asked for, but 3 channels"),
        (["--image-path", "a.png", *NET, "--target-layer", "color"], 1, "the model has no layer 'color'"),
        (["--image-path", "b.png", *NET], 1, "there is no file b.png"),
        (["--image-path", "nowhere/*.png", *NET], 1, "no file matches nowhere/*.png"),
    ):
        assert main(["concepts", *argv]) == code
        out, err = capsys.readouterr()
        assert message in err
        assert err.count("\n") == 1
        assert not out
    assert not Path("output").exists()


def test_its_help_loads_no_torch() -> None:
    code = (
        "import sys; from pytorch_grad_cam.cli.main import main; assert main(['concepts', '--help']) == 0;"
        "assert not {'torch', 'numpy', 'cv2'} & set(sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--components K" in run.stdout
