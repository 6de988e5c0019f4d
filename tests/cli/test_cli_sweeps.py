"""Sweeps on the command line: layers, classes of one pass, heads of a transformer; labels and their marks."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.colour_net import NET
from torch import nn

from pytorch_grad_cam.cli.explain.sheets import _RIGHT, _WRONG, ContactSheets
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.visualization.sheet import TEXT_HEIGHT

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
VIT = """
from helpers.vision_transformers import torchvision_vit
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel
def net():
    whole = Preprocessing(resize=(32, 32), crop=None)
    return LoadedModel(torchvision_vit(), whole, ("red", "blue", "none"), source="vit")
"""


def test_layer_sweep(here: Path) -> None:
    more = ["--layer-sweep", "--save", "overlay", "npy", "--target", "red", "--method", "gradcam", "eigencam"]
    assert main(["--image-path", "both.png", *NET, *more]) == 0
    numbers = np.load("output/layers.npz")
    assert {name.split("/")[0] for name in numbers} == {"gradcam", "eigencam"}
    last = [name for name in numbers if name.startswith("gradcam")][-1]
    alone = np.load("output/gradcam_cam.npy")
    assert np.allclose(numbers[last], alone, atol=1e-5, equal_nan=True)  # the last stage is the automatic layer
    assert read_image("output/layers.jpg").shape[0] > 250


def test_layers_that_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--layer-sweep", "--save", "npy", "--target-layers", "colours", "colours[0]"]
    assert main(["--image-path", "both.png", *NET, *more]) == 0
    assert [name.split("/")[1] for name in np.load("output/layers.npz")] == ["colours", "colours.0"]
    capsys.readouterr()
    assert main(["--image-path", "both.png", *NET, "--layer-sweep", "--method", "fullgrad", "gradcam"]) == 0
    assert "fullgrad looks at no layer that can be chosen" in capsys.readouterr().out
    assert main(["--image-path", "both.png", *NET, "--layer-sweep", "--method", "fullgrad"]) == 1
    assert "add a method such as --method gradcam" in capsys.readouterr().err


def test_classes_share_one_pass(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two classes cost the passes of one: those that choose the classes and the layer, and the one that explains."""
    runs: Counter[str] = Counter()
    call = nn.Module.__call__

    def counting(self: nn.Module, *args: object, **kwargs: object) -> object:
        if isinstance(self, nn.AdaptiveAvgPool2d):
            runs["passes"] += 1
        return call(self, *args, **kwargs)

    monkeypatch.setattr(nn.Module, "__call__", counting)
    given = ["--image-path", "both.png", *NET, "--target-layers", "colours", "--save", "npy"]
    assert main([*given, "--target", "red", "--output-dir", "one"]) == 0
    of_one, runs["passes"] = runs["passes"], 0
    assert main([*given, "--target", "red", "1", "--output-dir", "two"]) == 0
    assert runs["passes"] == of_one > 0
    (alone,) = Path("one").glob("*.npy")
    assert np.array_equal(np.load(alone), np.load("two/gradcam_0_red_cam.npy"), equal_nan=True)


def test_attention_grid(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own_vit.py").write_text(VIT)
    given = ["--image-path", "both.png", "--model", "own_vit:net", "--method", "attentionrollout", "--save"]
    assert main([*given, "npy", "overlay", "--attention-grid", "--discard-ratio", "0.5", "--head-fusion", "max"]) == 0
    heads = np.load("output/attention.npz")
    assert [heads[name].shape for name in heads] == [(4, 4, 4)] * 3
    assert read_image("output/attention.jpg").shape[0] > 3 * 60
    changed = np.load("output/attentionrollout_cam.npy")
    assert main([*given, "npy", "--output-dir", "plain"]) == 0
    assert not np.allclose(changed, np.load("plain/attentionrollout_cam.npy"))
    capsys.readouterr()
    assert main(["--image-path", "both.png", *NET, "--attention-grid"]) == 1
    assert "attention over all tokens" in capsys.readouterr().err
    assert main([*given, "npy", "--discard-ratio", "1"]) == 2
    assert "'1' is not a number from 0 to below 1" in capsys.readouterr().err


def labelled(folder: str) -> None:
    Path(folder).mkdir(parents=True)
    shutil.copy("both.png", folder)


def test_labels_by_folders_and_by_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The network calls the picture red: right in one folder, wrong in the other."""
    labelled("data/red")
    labelled("data/dark blue")
    given = ["--image-path", "data/*/*.png", *NET, "--overwrite", "--labels"]
    assert main([*given, "folders"]) == 0
    said = capsys.readouterr().out
    assert "; wrong, it is 1 dark blue" in said
    assert "; right\n" in said
    assert "right:      1 of 2 (50.0 %)" in said
    Path("labels.csv").write_text("file,class\ndata/red/both.png,dark blue\ndata/dark blue/both.png,1\n")
    assert main([*given, "labels.csv"]) == 0
    assert "right:      0 of 2 (0.0 %)" in capsys.readouterr().out
    assert main(["--image-path", "data/red/both.png", *NET, "--labels", "folders"]) == 0
    assert "prediction: right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("folders", "names no class: no class is called"),
        ("nowhere.csv", "there is no file nowhere.csv; give a CSV file, or the word 'folders'"),
        ("other.csv", "other.csv has no line for both.png"),
        ("wrong.csv", "line 2 of wrong.csv: no class is called 'green'"),
        ("short.csv", "line 1 of short.csv is not PICTURE,CLASS: 'both.png'"),
    ],
)
def test_labels_that_cannot_be_read(labels: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.csv").write_text("else.png,red\n")
    Path("wrong.csv").write_text("else.png,red\nboth.png,green\n")
    Path("short.csv").write_text("both.png\n")
    assert main(["--image-path", "both.png", *NET, "--labels", labels]) == 1
    assert message in capsys.readouterr().err


def test_marks_are_told_apart_by_form_and_colour(tmp_path: Path) -> None:
    sheets = ContactSheets(tmp_path, True)
    gray = np.full((40, 80, 3), 90, np.uint8)
    for caption, right in (("yes", True), ("no", False), ("unknown", None)):
        sheets.add(gray, caption, right)
    (path,) = sheets.write()
    sheet = read_image(path).astype(int)
    assert sheet.shape[0] > 2 * (96 + TEXT_HEIGHT)

    def has(colour: tuple[int, int, int]) -> int:
        return int((np.abs(sheet - colour).max(2) < 40).sum())

    assert has(_RIGHT) > 300
    assert has(_WRONG) > 300
