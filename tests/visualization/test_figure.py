"""The single figure: where panels, colour bar and text lie, what is dimmed, and what the title says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from helpers.own_font import only_own_font
from helpers.tiny_nets import ConvNet, build, inputs
from numpy.typing import NDArray
from torch import nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.boxes import Box
from pytorch_grad_cam.visualization import figure as module
from pytorch_grad_cam.visualization.colormaps import DIVERGING
from pytorch_grad_cam.visualization.figure import figure
from pytorch_grad_cam.visualization.overlay import heat_map, show_cam_on_image
from pytorch_grad_cam.visualization.text import text_width

Placed = dict[str, Any]


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Placed]]:
    """What is put onto the sheet, in order: texts and pictures with their places."""
    everything: list[Placed] = []
    write, paste = module.write_text, module.paste_pixels

    def writing(sheet: Any, x: int, y: int, text: str, **how: Any) -> None:
        everything.append({"text": text, "x": x, "y": y, "height": how["height"], "ink": how["ink"]})
        write(sheet, x, y, text, **how)

    def pasting(sheet: Any, x: int, y: int, pixels: NDArray[np.uint8]) -> None:
        everything.append({"x": x, "y": y, "shape": pixels.shape[:2], "pixels": pixels})
        paste(sheet, x, y, pixels)

    monkeypatch.setattr(module, "write_text", writing)
    monkeypatch.setattr(module, "paste_pixels", pasting)
    with only_own_font():
        yield everything


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ramp(height: int, width: int) -> NDArray[np.float32]:
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


def test_where_everything_lies(placed: list[Placed]) -> None:
    image, map = picture(128, 128), ramp(128, 128)
    sheet = figure(image, map, "281 tabby, 72.2 %", ["GradCAM at layer4", "resnet50"])
    title, *panels, bar, first, second = placed
    # The side is 4 x 128 = 512; letters are 512 / 34 = 15 pixels high, the title's 1.25 and small ones 0.8 times that.
    assert [(title["text"], title["x"], title["y"], title["height"])] == [("281 tabby, 72.2 %", 15, 15, 19)]
    assert [(each["x"], each["y"], each["shape"]) for each in panels] == [
        (15, 48, (512, 512)),  # 15 + a line of 26 + 7
        (542, 48, (512, 512)),
        (1069, 48, (512, 512)),
    ]
    assert (bar["x"], bar["y"], bar["shape"][0]) == (1596, 48, 512)
    assert [(each["text"], each["x"], each["y"], each["height"]) for each in (first, second)] == [
        ("GradCAM at layer4", 15, 567, 12),
        ("resnet50", 15, 583, 12),
    ]
    assert sheet.shape == (48 + 512 + 7 + 2 * 16 + 15, 1596 + bar["shape"][1] + 15, 3)
    assert sheet.dtype == np.uint8
    assert bar["shape"][1] == pytest.approx(14 + 6 + text_width("0.5", 12), abs=1)
    enlarged = np.repeat(np.repeat(image, 4, 0), 4, 1)  # squares, no blur
    assert np.array_equal(panels[0]["pixels"], enlarged)
    assert np.array_equal(panels[1]["pixels"], show_cam_on_image(enlarged, map, True))
    assert np.array_equal(panels[2]["pixels"], heat_map(map, size=(512, 512)))


def test_what_the_network_never_saw(placed: list[Placed]) -> None:
    image, map = np.full((100, 200, 3), 100, np.uint8), ramp(100, 200)
    map[:, :50] = map[:, 150:] = np.nan
    figure(image, map, side=600)
    panels, (said,) = placed[:3], [each["text"] for each in placed if "text" in each]
    assert said == "the network saw 50 % of the picture; the rest is dimmed"
    for panel, colour in zip(panels, (193, 193, 215), strict=True):  # 0.4 x 100 + 0.6 x 255; 215: gray
        pixels = panel["pixels"]
        assert (pixels[:, :140] == colour).all()
        assert (pixels[:, 460:] == colour).all()
        assert pixels.shape == (300, 600, 3)
        assert (pixels[150, 146:154] >= 250).any()  # the frame, between dark edges
        assert (pixels[150, 146:154] <= 5).any()
    assert (panels[0]["pixels"][10:-10, 160:440] == 100).all()
    placed.clear()
    figure(image, map, side=600, dark=True)
    assert (placed[0]["pixels"][:, :140] == np.round(0.4 * 100 + 0.6 * np.array([22, 22, 26]))).all()
    placed.clear()
    figure(image, np.full((2, 2), np.nan))
    assert placed[-1]["text"].startswith("the network saw 0 %")


def test_light_and_dark(placed: list[Placed]) -> None:
    light, dark = (figure(picture(60, 60), ramp(60, 60), "star", ["small"], dark=dark) for dark in (False, True))
    assert light.shape == dark.shape
    assert light[0, 0].tolist() == [255, 255, 255]
    assert dark[0, 0].tolist() == [22, 22, 26]
    rows = slice(14, 36)  # of the title
    assert light[rows].min() < 60
    assert dark[rows].max() > 200
    assert (dark[rows, 400:] == (22, 22, 26)).all()


@pytest.mark.parametrize(
    ("size", "panel", "column"),
    [
        ((128, 128), (512, 512), False),
        ((96, 128), (384, 512), False),
        ((300, 500), (300, 500), False),
        ((900, 1000), (900, 1000), False),
        pytest.param((3000, 4000), (900, 1200), False, marks=pytest.mark.slow),
        pytest.param((4000, 1000), (1200, 300), False, marks=pytest.mark.again),
        ((1000, 4000), (300, 1200), True),
        ((1, 1), (480, 480), False),
        ((2, 2000), (1, 1200), True),
    ],
)
def test_any_size(size: tuple[int, int], panel: tuple[int, int], column: bool, placed: list[Placed]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    sheet = figure(image, np.zeros((4, 4)), "a title of several words that takes its room", ["and what lies below"])
    pictures = [each for each in placed if "shape" in each]
    texts = [each for each in placed if "text" in each]
    assert [each["shape"] for each in pictures[:3]] == [panel] * 3
    across, down = {each["x"] for each in pictures[:3]}, {each["y"] for each in pictures[:3]}
    assert (len(across), len(down)) == ((1, 3) if column else (3, 1))
    for each in pictures:
        assert each["x"] + each["shape"][1] <= sheet.shape[1]
        assert each["y"] + each["shape"][0] <= sheet.shape[0]
    assert all(each["x"] + text_width(each["text"], each["height"]) <= sheet.shape[1] for each in texts)
    assert all(each["y"] + each["height"] <= sheet.shape[0] for each in texts)
    assert texts[0]["height"] == round(1.25 * max(12, round(max(panel) / 34)))


def test_long_titles_take_two_lines(placed: list[Placed]) -> None:
    figure(picture(100, 100), ramp(4, 4), "word " * 200, ["x" * 400])
    titles = [each for each in placed if "text" in each and each["height"] > 14]
    assert len(titles) == 2
    assert titles[1]["text"].endswith("...")
    assert titles[1]["y"] > titles[0]["y"] + titles[0]["height"]


def test_signed_maps_and_boxes(placed: list[Placed]) -> None:
    map = 2 * ramp(100, 100) - 1
    figure(picture(100, 100), map, signed=True, blend="alpha", boxes=[Box(20, 20, 60, 60, 0, 0.0)], side=500)
    first, overlay, alone, bar = placed
    assert np.array_equal(alone["pixels"], heat_map(map, DIVERGING, (500, 500)))
    assert bar["pixels"][0, 0].tolist() == [255, 0, 0]
    assert bar["pixels"][-1, 0].tolist() == [0, 0, 255]
    for panel in (first, overlay):
        assert (panel["pixels"][100, 105:295] == 255).all()  # the box, five times as large
    with pytest.raises(ValueError, match="colormap='viridis' has no white in its middle for 0"):
        figure(picture(9, 9), map, signed=True, colormap="viridis")
    with pytest.raises(ValueError, match="side=10 leaves no room for text; give at least 34 pixels"):
        figure(picture(9, 9), map, signed=True, side=10)
    with pytest.raises(ValueError, match=r"range \[0, 1\]"):
        figure(picture(9, 9), map)


# --- of an Explanation ----------------------------------------------------------------------------------------------


def test_an_explanation_draws_itself(placed: list[Placed]) -> None:
    net, x = build(ConvNet), inputs()
    found = GradCAM(net, "conv2").explain(x, [1, 2])
    with torch.no_grad():
        shares, chances = net(x).softmax(1), net(x).sigmoid()
    names = ["a", "b", "Füchse"]
    sheet = found.figure(picture(40, 50), 1, categories=names, blend="alpha", dark=True)
    texts = [each["text"] for each in placed if "text" in each]
    assert texts == [f"Füchse, {100 * float(shares[1, 2]):.1f} %", "GradCAM at conv2"]
    assert sheet[0, 0].tolist() == [22, 22, 26]
    placed.clear()
    found.figure(picture(40, 50), title="my own", multi_label=True)
    assert placed[0]["text"] == "my own"
    placed.clear()
    found.figure(picture(40, 50), multi_label=True)
    assert placed[0]["text"] == f"class 1, {100 * float(chances[0, 1]):.1f} %"


def test_several_targets_and_signed_ones(placed: list[Placed]) -> None:
    net, x = build(ConvNet), inputs()
    each = GradCAM(net, "conv2").explain_each(x, [0, lambda output: output[1] - output[2]], relu=False)
    each.figure(picture(40, 50), 1, target=1)
    assert each.scores is not None
    assert placed[0]["text"] == f"score {float(each.scores[1, 1]):.4g}"
    alone = placed[3]["pixels"]
    size = alone.shape[:2]
    assert np.array_equal(alone, heat_map(each.numpy()[1, 1], DIVERGING, size))
    with pytest.raises(ValueError, match="say which target's with target=0"):
        each.figure(picture(40, 50))
    with pytest.raises(ValueError, match="there is one target only; leave target out"):
        GradCAM(net, "conv2").explain(x, 0).figure(picture(40, 50), target=0)


def test_the_crop_is_found_by_the_preprocessing(placed: list[Placed]) -> None:
    image = picture(80, 100)
    seen = Preprocessing(resize=40, crop=32, mean=(0.5,) * 3, std=(0.5,) * 3)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = GradCAM(net, "0").explain(seen(image)[None], 1, relu=False)
    found.figure(image, preprocessing=seen)
    said = [each["text"] for each in placed if "text" in each][-1]
    assert said == "the network saw 51 % of the picture; the rest is dimmed"  # 64 x 64 of 80 x 100: 51.2 %


def test_a_signal_is_no_picture() -> None:
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(2)

    net = nn.Sequential(nn.Conv1d(3, 4, 3), Mean())
    found = GradCAM(net, "0").explain(torch.linspace(0, 1, 60).reshape(1, 3, 20), 1, relu=False)
    with pytest.raises(ValueError, match=r"the map is none of a picture \(h, w\), but \(20,\)"):
        found.figure(picture(9, 9))
