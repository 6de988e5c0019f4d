"""The command line asked what speaks for one class rather than another, and what speaks against a class."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.colour_net import NET, described, red_and_blue
from helpers.paths import ROOT

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import read_image

RED, BLUE, GRAY = (slice(24, 36), slice(28, 36)), (slice(24, 36), slice(60, 66)), (slice(5, 15), slice(20, 70))
UNSEEN = (slice(0, 60), slice(0, 14))  # what the network's square crop leaves out
STAR_AND_RING = ROOT / "examples" / "images" / "scene_star_ring.png"
BOTH = "gradcam_0_red_rather_than_1_dark_blue"


pytestmark = pytest.mark.usefixtures("here")


def run(*options: str) -> int:
    return main(["--image-path", "both.png", *NET, *options])


def test_one_class_rather_than_another(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ["--save", "overlay", "heatmap", "npy", "boxes", "json"]
    assert run("--contrast", "red", "Dark_Blue", "--target-layers", "colours", *kinds, "--output-dir", "out") == 0
    captured = capsys.readouterr()
    assert not captured.err
    assert "explained:  0 red rather than 1 dark blue\n" in captured.out
    assert "colours:    red speaks for 0 red, blue for 1 dark blue\n" in captured.out
    names = {f"{BOTH}{end}" for end in ("_cam.jpg", "_heatmap.png", "_cam.npy", "_boxes.jpg", "_boxes.json", ".json")}
    assert {path.name for path in Path("out").iterdir()} == names
    # The classes are 100 and 50 times the mean of their colour: 1 where it is red, -1/2 where it is blue.
    heat = np.load(f"out/{BOTH}_cam.npy")
    for place, value in ((RED, 1), (BLUE, -0.5), (GRAY, 0)):
        np.testing.assert_allclose(heat[place], value, atol=0.02)
    assert np.isnan(heat[UNSEEN]).all()
    picture, overlay = red_and_blue().astype(float), read_image(f"out/{BOTH}_cam.jpg").astype(float)
    for place, colour in ((RED, (255, 0, 0)), (BLUE, (128, 128, 255)), (GRAY, (255, 255, 255))):
        assert np.abs(overlay[place] - (picture[place] + colour) / 2).max() < 12
        alone = read_image(f"out/{BOTH}_heatmap.png")[place].astype(float)
        assert np.abs(alone - colour).max() < 6
    assert np.abs(overlay[UNSEEN] - picture[UNSEEN]).max() < 12
    (box,) = json.loads(Path(f"out/{BOTH}_boxes.json").read_text())
    assert (box["left"], box["right"]) == (pytest.approx(24, abs=2), pytest.approx(40, abs=2))  # the red one only
    record = json.loads(Path(f"out/{BOTH}.json").read_text())
    assert (record["class"]["name"], record["rather_than"]["name"]) == ("red", "dark blue")
    assert record["score"] == pytest.approx(100 * 0.0889 - 50 * 0.0778, rel=0.3)  # the difference of both scores


def test_the_other_way_round_the_signs_change() -> None:
    for index, pair in enumerate((("0", "1"), ("1", "0"))):
        assert run("--contrast", *pair, "--save", "npy", "--output-dir", f"out{index}") == 0
    one, other = (np.load(next(Path(f"out{index}").iterdir())) for index in (0, 1))
    np.testing.assert_allclose(one, -other, atol=1e-6)


def test_a_grid_of_methods_has_the_bar_of_signed_maps(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--contrast", "0", "1", "--method", "gradcam", "hirescam", "eigencam") == 0
    captured = capsys.readouterr()
    assert captured.err == "warning: eigencam looks at no class; --contrast is ignored\n"
    assert {path.name for path in Path("output").iterdir()} == {
        "gradcam_0_red_rather_than_1_dark_blue_cam.jpg",
        "hirescam_0_red_rather_than_1_dark_blue_cam.jpg",
        "eigencam_cam.jpg",
        "grid.jpg",
    }
    bar = read_image("output/grid.jpg")[:, -40:].astype(int)
    for colour in ((255, 0, 0), (0, 0, 255)):  # the ends; of the usual colours they are dark
        assert (np.abs(bar - colour).max(2) < 20).any()


def test_what_speaks_against_a_class(capsys: pytest.CaptureFixture[str]) -> None:
    before = ["--target-layers", "colours.0", "--save", "npy", "json"]  # before the ReLU: red minus the other colours
    assert run("--target", "red", "--against", "--method", "gradcam", "eigencam", *before) == 0
    captured = capsys.readouterr()
    assert "explained:  what speaks against 0 red\n" in captured.out
    assert captured.err == "warning: eigencam looks at no class; --target and --against are ignored\n"
    names = {"gradcam_against_cam.npy", "gradcam_against.json", "eigencam_cam.npy", "eigencam.json"}
    assert {path.name for path in Path("output").iterdir()} == names
    heat = np.load("output/gradcam_against_cam.npy")
    # The layer is 1 - 0 - 0, 0 - 0 - 1 and about -1/2: only what is negative there speaks against red.
    for place, value in ((RED, 0), (BLUE, 1), (GRAY, 0.5)):
        np.testing.assert_allclose(heat[place], value, atol=0.03)
    record = json.loads(Path("output/gradcam_against.json").read_text())
    assert record["against"]
    assert record["class"]["name"] == "red"
    assert not json.loads(Path("output/eigencam.json").read_text())["against"]


def test_many_pictures_are_contrasted(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    for name in ("a", "b"):
        red_and_blue(f"photos/{name}.png")
    assert main(["--image-path", "photos", *NET, "--contrast", "red", "dark blue"]) == 0
    written = {str(path.relative_to("output")) for path in Path("output").rglob("*.jpg")}
    assert {f"a/{BOTH}_cam.jpg", f"b/{BOTH}_cam.jpg", "contact_sheet.jpg"} == written


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--contrast", "red"], 2, "--contrast takes two classes, or the word rest"),
        (["--contrast", "red", "nothing", "--target", "red"], 2, "--contrast takes the place of --target"),
        (["--contrast", "red", "nothing", "--against"], 2, "exchange its two classes"),
        (["--contrast", "red", "nothing", "--save", "guided"], 2, "--save guided shows what speaks for one class"),
        (["--against", "--save", "overlay", "guided"], 2, "--save guided shows what speaks for one class"),
        (["--contrast", "red", "green"], 1, "no class is called 'green'"),
        (["--contrast", "red", "0"], 1, "--contrast names 0 red twice"),
        (["--contrast", "red", "nothing", "--task", "segmentation"], 1, "it does not go with segmentation"),
    ],
)
def test_what_cannot_be_asked(options: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*options) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not Path("output").exists()


def test_a_class_with_nothing_for_it_is_better_asked_what_speaks_against_it(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--image-path", str(STAR_AND_RING), "--model", "shapes", "--target", "heart", "--save", "npy"]
    assert main(asked) == 1
    assert capsys.readouterr().err.endswith("all evidence at layer 'stage4' is negative (--against shows it)\n")
    assert main([*asked, "--against"]) == 0


def test_a_class_rather_than_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ["--save", "overlay", "npy", "json", "figure"]
    assert run("--contrast", "rest", "--target", "red", "dark blue", *kinds, "--output-dir", "out") == 0
    captured = capsys.readouterr()
    assert not captured.err
    assert "explained:  0 red rather than any other" in captured.out
    record = json.loads(Path("out/gradcam_rest_0_red.json").read_text())
    assert (record["class"]["name"], record["rather_than"], record["rather_than_rest"]) == ("red", None, True)
    loaded = described()
    scores = loaded.model(loaded.preprocessing(read_image("both.png"))[None])[0].detach().double()
    for category, name in ((0, "0_red"), (1, "1_dark_blue")):
        others = torch.cat([scores[:category], scores[category + 1 :]])
        record = json.loads(Path(f"out/gradcam_rest_{name}.json").read_text())
        assert record["score"] == pytest.approx(float(scores[category] - others.logsumexp(0)), rel=1e-3)
        assert np.nanmin(np.load(f"out/gradcam_rest_{name}_cam.npy")) >= 0  # for the class: rectified


@pytest.mark.parametrize("command", [[], ["video"], ["signal"], ["volume"]])
@pytest.mark.parametrize("words", [["red"], ["rest", "red", "0"], ["rest", "rest", "rest"]])
def test_neither_two_classes_nor_the_rest(
    command: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--image-path", "both.png", *NET, "--contrast", *words]) == 2
    assert f"--contrast takes two classes, or the word rest (--target names the class), not {' '.join(words)!r}" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("contrast", [["rest"], ["red", "dark blue"]])
def test_a_method_that_hardly_tells_classes_says_so(contrast: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--contrast", *contrast, "--method", "gradcam", "gradcam++", "--target-layers", "colours") == 0
    warning = "warning: maps of gradcam++ are much the same for every class; --contrast says little of it\n"
    assert warning in capsys.readouterr().err
    assert main(["methods"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "for every class" in line]
    assert [line.split()[0] for line in lines] == ["gradcam++", "smoothgradcam++"]
