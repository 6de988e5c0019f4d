"""Figures on the command line: --save figure, --blend, --colormap, --signed, --pad."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.colour_net import NET, red_and_blue
from helpers.torchvision_nets import forbid_downloads
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam.cli.explain import drawing
from pytorch_grad_cam.cli.explain.options import parse
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.visualization import figure as figure_module


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_downloads(monkeypatch, tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    red_and_blue("both.png")


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written onto figures."""
    written: list[str] = []
    write = figure_module.write_text

    def writing(sheet: Image.Image, x: int, y: int, text: str, **how: int) -> None:
        written.append(text)
        write(sheet, x, y, text, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(figure_module, "write_text", writing)
    return written


def explained(*options: str) -> int:
    return main(["--image-path", "both.png", *NET, "--target-layers", "colours", *options])


def picture(name: str) -> NDArray[np.uint8]:
    return read_image(Path("output") / name)


def test_a_figure(texts: list[str]) -> None:
    assert explained("--save", "figure") == 0
    assert [path.name for path in Path("output").iterdir()] == ["gradcam_figure.png"]
    assert texts == [
        "0 red, 99.1 %",
        "gradcam at colours of two colours",
        "the network saw 67 % of the picture; the rest is dimmed",
    ]
    figure = picture("gradcam_figure.png")
    assert figure.shape[1] > 3 * 480
    assert figure[0, 0].tolist() == [255, 255, 255]
    assert explained("--save", "figure", "--dark") == 0
    assert picture("gradcam_figure.png")[0, 0].tolist() == [22, 22, 26]


def test_what_figures_of_other_questions_say(texts: list[str]) -> None:
    assert explained("--save", "figure", "--contrast", "red", "dark blue") == 0
    assert texts[:3] == [
        "0 red rather than 1 dark blue",
        "gradcam at colours of two colours",
        "for 0 red, against it: for 1 dark blue",
    ]
    texts.clear()
    assert (
        explained("--save", "figure", "--target", "1", "--method", "eigencam", "smoothgrad", "--num-samples", "2") == 0
    )
    assert texts[0] == "eigencam, whatever the class"
    assert texts[3:6] == [
        "1 dark blue, 0.9 %",
        "smoothgrad at the picture itself of two colours",
        "full colour from the 99th percentile on",
    ]


def test_blends(capsys: pytest.CaptureFixture[str]) -> None:
    original, changed = read_image("both.png").astype(int), {}
    for blend in ("classic", "alpha", "contour"):
        assert explained("--save", "overlay", "npy", "--blend", blend, "--squash") == 0
        cold = np.load("output/gradcam_cam.npy") == 0
        difference = np.abs(picture("gradcam_cam.jpg").astype(int) - original).max(2)
        changed[blend] = float((difference[cold] > 20).mean())
    assert changed["classic"] == 1  # blue, where the map says nothing
    assert max(changed["alpha"], changed["contour"]) < 0.1
    capsys.readouterr()
    assert main(["--image-path", "both.png", "--blend", "gray"]) == 2
    assert "--blend: invalid choice: 'gray'" in capsys.readouterr().err


def test_signed_maps_in_signed_colours(capsys: pytest.CaptureFixture[str]) -> None:
    assert explained("--save", "heatmap", "npy", "--signed", "--squash") == 0
    values = np.load("output/gradcam_cam.npy")
    assert values.min() < 0 or np.all(values >= 0)
    heat = picture("gradcam_heatmap.png").astype(int)
    rows, columns = np.nonzero(values > 0.9)
    assert (heat[rows, columns, 0] == 255).all()
    assert heat[rows, columns, 2].max() < 30
    assert explained("--save", "heatmap", "--signed", "--squash", "--colormap", "purpleorange") == 0
    assert np.abs(picture("gradcam_heatmap.png")[rows, columns] - np.array([230, 97, 1])).max() < 30
    for other in (["--against"], ["--contrast", "0", "1"]):
        capsys.readouterr()
        assert explained("--signed", *other) == 2
        assert "--signed shows for and against in one map" in capsys.readouterr().err


def test_signed_pixels() -> None:
    for options, extreme in (([], 1), (["--signed"], -1)):
        assert explained("--save", "npy", "--squash", "--method", "vanillagradient", *options) == 0
        values = np.load("output/vanillagradient_cam.npy")
        # Where the picture is red the gradients of red, green and blue are 1, -1 and -1: at most 1, in sum -1.
        assert values[np.abs(values).argmax() // values.shape[1]].sum() * extreme > 0
        assert {round(float(values.min())), round(float(values.max()))} == {0, extreme}


def test_outliers_of_single_pixels_do_not_darken_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[..., 0], pixels[3, 4, 0] = 51, 255
    Image.fromarray(pixels).save("one_bright.png")
    shown: list[NDArray[np.float32]] = []
    make = drawing.overlay_map
    monkeypatch.setattr(drawing, "overlay_map", lambda image, map, *how: (shown.append(map), make(image, map, *how))[1])
    argv = ["--image-path", "one_bright.png", *NET, "--target-layers", "colours", "--save", "overlay", "npy"]
    argv += ["--signed", "--size", "40"]  # as it is, not stretched to [0, 1]
    assert main([*argv, "--method", "integratedgradients"]) == 0
    values = np.load("output/integratedgradients_cam.npy")
    assert values[0, 0] == pytest.approx(51 / 255, abs=1e-3)  # a network of sums: what each pixel adds
    assert values[3, 4] == pytest.approx(1)
    assert shown[0].min() > 0.999
    assert main(argv) == 0
    assert np.array_equal(shown[1], np.load("output/gradcam_cam.npy"))


def test_a_letterbox_shows_the_whole_picture(texts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert explained("--save", "figure", "--pad") == 0
    out = capsys.readouterr().out
    assert "sees the whole picture between bars at 40 x 40" in out
    assert "seen:" not in out
    assert not any(text.startswith("the network saw") for text in texts)
    assert explained("--pad", "--squash") == 2
    assert "--squash: not allowed with argument --pad" in capsys.readouterr().err


def test_the_help_names_colours_that_everybody_can_tell_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("cam", ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "safe for the colour-blind and in gray print: viridis, cividis, magma, inferno, plasma" in text
    assert "signed ones likewise: bluered (default) or purpleorange" in text
