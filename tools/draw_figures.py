"""Draw the pictures of docs/figures.md, of the bundled network and scenes: docs/images/*.jpg.

    python -m tools.draw_figures

A test holds that each picture on the page is one of these and has the size that is drawn here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam import EpochMaps, GradCAM, SmoothGrad
from pytorch_grad_cam.common.drawing_names import PERCEPTUAL, SIGNED_COLORMAPS
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.visualization.colormaps import clip_outliers, colormap_number
from pytorch_grad_cam.visualization.overlay import show_cam_on_image, show_signed_cam_on_image
from pytorch_grad_cam.visualization.sheet import colour_bar, contact_sheet, labelled_grid

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SCENE = ROOT / "examples" / "images" / "scene_triangle_hourglass_square.png"
TRIANGLE, SQUARE = SHAPES.index("triangle"), SHAPES.index("square")
SIDE = 256  # of a panel, so that the repository stays small
QUALITY = 85  # likewise
Picture = NDArray[np.uint8]


@cache
def network() -> LoadedModel:
    """Return the bundled network."""
    return load_model("shapes")


def scene() -> Picture:
    """Return the bundled scene with a triangle, an hourglass and a square, 128 x 128 pixels."""
    return read_image(SCENE)


def light_figure() -> Picture:
    """The figure of a map, with opacity by strength."""
    seen = network().preprocessing
    found = GradCAM(network().model).explain(seen(scene())[None], TRIANGLE)
    options = {"categories": SHAPES, "multi_label": True, "side": SIDE}
    return found.figure(scene(), preprocessing=seen, blend="alpha", colormap="inferno", **options)


def dark_figure() -> Picture:
    """The figure of a picture of which the network sees a part, with lines, on a dark ground."""
    seen = network().preprocessing
    picture = np.pad(scene(), ((0, 0), (40, 40), (0, 0)), mode="reflect")  # wider than the square that is cut out
    found = GradCAM(network().model).explain(seen(picture)[None], SQUARE)
    options = {"categories": SHAPES, "multi_label": True, "side": SIDE, "dark": True}
    return found.figure(picture, preprocessing=seen, blend="contour", colormap="viridis", **options)


def blends() -> Picture:
    """Three ways to lay a map over its picture, in three colours."""
    map = GradCAM(network().model).explain(network().preprocessing(scene())[None], SQUARE).numpy()[0]
    large = np.repeat(np.repeat(scene(), 2, 0), 2, 1)
    names, colours = ("classic", "alpha", "contour"), ("jet", "viridis", "inferno")
    cells = [[show_cam_on_image(large, map, True, colormap, blend=blend) for blend in names] for colormap in colours]
    return labelled_grid(cells, colours, names, side=200)


def signed() -> Picture:
    """What speaks for the triangle rather than the square, in both pairs of colours."""
    contrast = GradCAM(network().model).explain(network().preprocessing(scene())[None], contrast=(TRIANGLE, SQUARE))
    map = contrast.numpy()[0]
    large = np.repeat(np.repeat(scene(), 2, 0), 2, 1)
    pictures = [
        show_signed_cam_on_image(large, map, True, 0.2, colormap=colormap, blend="alpha")
        for colormap in ("bluered", "purpleorange")
    ]
    return contact_sheet(pictures, ["triangle (red), square (blue)", "orange and purple"], columns=2, side=256)


def single_pixels() -> Picture:
    """A map of single pixels as it is, without its outliers, and signed."""
    inputs = network().preprocessing(scene())[None]
    strength = SmoothGrad(network().model, noise_level=0.05).explain(inputs, SQUARE).numpy()[0]
    both = SmoothGrad(network().model, noise_level=0.05, mode="signed").explain(inputs, SQUARE, relu=False).numpy()[0]
    black = np.zeros((256, 256), np.uint8)
    pictures = [
        show_cam_on_image(black, strength, True, "inferno", 0.0),
        show_cam_on_image(black, clip_outliers(strength), True, "inferno", 0.0),
        show_signed_cam_on_image(black, clip_outliers(both), True, 0.0),
    ]
    return contact_sheet(pictures, ["as it is", "without outliers", "signed"], columns=3, side=256)


def colours() -> Picture:
    """The colour bars of some colour maps, and the gray that is printed of them."""
    names = ("jet", "turbo", *PERCEPTUAL, *SIGNED_COLORMAPS)
    bars = [colour_bar(160, colormap_number(name), width=80) for name in names]
    gray = [np.asarray(Image.fromarray(bar).convert("L").convert("RGB")) for bar in bars]
    return labelled_grid([bars, gray], ["in colour", "in gray"], names, side=160)


def text() -> Picture:
    """Names in several scripts."""
    names = ("Wüstenfuchs", "ΑΒΓ αβγ", "собака", "כלב", "كلب", "3 \u00d7 ½ Å")
    return contact_sheet([scene()] * len(names), names, columns=6, side=128)


def epochs() -> Picture:
    """What EpochMaps draws, one picture right and one wrong."""
    pictures = [scene(), read_image(SCENE.with_name("scene_heart_arrow_circle.png"))]
    inputs = torch.stack([network().preprocessing(picture) for picture in pictures])
    labels = [TRIANGLE, SQUARE]
    maps = EpochMaps(inputs, pictures, labels, categories=SHAPES, labels=labels, multi_label=True)
    sheet = maps(network().model, 12)
    assert sheet is not None
    return sheet


FIGURES: dict[str, Callable[[], Picture]] = {
    "figure_light": light_figure,
    "figure_dark": dark_figure,
    "blends": blends,
    "colours": colours,
    "signed": signed,
    "single_pixels": single_pixels,
    "text": text,
    "epochs": epochs,
}


def main() -> None:
    """Draw and write all pictures."""
    for name, draw in FIGURES.items():
        encoded = BytesIO()
        Image.fromarray(draw()).save(encoded, "JPEG", quality=QUALITY, optimize=True)
        write_bytes(IMAGES / f"{name}.jpg", encoded.getvalue())


if __name__ == "__main__":
    main()
