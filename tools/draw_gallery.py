"""Draw docs/gallery.md's pictures, of the bundled network and a bundled scene: docs/images/methods/*.jpg.

    python -m tools.draw_gallery

Every method explains the hourglass and the triangle of the same scene; a method that knows no class draws the same
twice. Methods of attention, which the bundled network has none of, explain it with blocks of attention in the place
of its head (`tools.scene_transformer`). It takes a minute on one core, most of it for the methods of thousands of
passes. Tests draw them anew.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from pytorch_grad_cam import CAM
from pytorch_grad_cam.bases.input_cam import InputCAM
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.scenes import TRAIN_SEEDS, render_scene
from pytorch_grad_cam.methods import METHODS, Method
from pytorch_grad_cam.models.shapes import ShapesNet, load_shapes, preprocess
from pytorch_grad_cam.visualization.colormaps import clip_outliers
from pytorch_grad_cam.visualization.overlay import show_cam_on_image
from tools.scene_transformer import load_scene_transformer

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images" / "methods"
SCENE = ROOT / "examples" / "images" / "scene_triangle_hourglass_square.png"
CLASSES = ("hourglass", "triangle")
FITTED = 400  # scenes that the linear layer of CAM's network is fitted on
SIDE, GAP, QUALITY = 256, 8, 80  # pixels of a panel and between panels; of JPEG
Picture = NDArray[np.uint8]


def file_name(method: Method) -> str:
    """Return the name of a method's picture."""
    return f"{method.module}.jpg"


@cache
def network() -> ShapesNet:
    """Return the bundled network."""
    return load_shapes()


@cache
def scene_transformer() -> nn.Module:
    """Return the bundled network with blocks of attention in the place of its head."""
    return load_scene_transformer()


class PooledHead(nn.Module):
    """The bundled network up to its last layer with positions, then mean and one linear layer, as CAM needs them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = network().stage4
        self.head = nn.Linear(96, len(SHAPES))

    def forward(self, x: Tensor) -> Tensor:
        net = network()
        features = self.layer(net.stage3(net.stage2(net.stage1(net.stem(x)))))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


@cache
def pooled_network() -> PooledHead:
    """Return it with the linear layer that fits the training scenes best, by least squares."""
    scenes = [render_scene(seed) for seed in TRAIN_SEEDS[:FITTED]]
    wanted = -torch.ones(FITTED, len(SHAPES))
    for row, scene in enumerate(scenes):
        wanted[row, [item.index for item in scene.objects]] = 1
    with torch.no_grad():
        inputs = preprocess(np.stack([scene.image for scene in scenes])).split(50)
        pooled = torch.cat([network().features(batch).mean((2, 3)) for batch in inputs])
        rows = torch.cat([pooled, torch.ones(FITTED, 1)], 1).double()
        ridge = rows.T @ rows + 1e-2 * torch.eye(rows.shape[1], dtype=torch.float64)
        solved = torch.linalg.solve(ridge, rows.T @ wanted.double()).float()  # (97, 10)
        with torch.random.fork_rng(devices=[]):
            net = PooledHead().eval()
        net.head.weight.copy_(solved[:-1].T)
        net.head.bias.copy_(solved[-1])
    return net


def of_single_pixels(method: Method) -> bool:
    """Say whether a method's maps have a few very large values, which are drawn as the full colour."""
    return method.name != "rise" and (issubclass(method.load(), InputCAM) or method.name == "guidedgradcam")


def maps_of(method: Method) -> NDArray[np.float32]:
    """Return the maps of both classes, (2, 128, 128); those of single pixels without their outliers."""
    cls = method.load()
    if method.needs == "pooled head":
        cam: Any = CAM(pooled_network(), "layer")
    else:
        cam = cls(scene_transformer() if method.needs == "attention" else network())
    inputs = preprocess(read_image(SCENE))
    found = cam.explain_each(inputs, [SHAPES.index(name) for name in CLASSES]).numpy()[0]
    return np.stack([clip_outliers(map) for map in found]) if of_single_pixels(method) else found


def drawn(method: Method) -> Picture:
    """Draw both maps over the scene, side by side."""
    scene = read_image(SCENE)
    large = np.repeat(np.repeat(scene, SIDE // scene.shape[0], 0), SIDE // scene.shape[1], 1)
    panels = [show_cam_on_image(large, map, True, "inferno", image_weight=0.5) for map in maps_of(method)]
    return beside(panels)


def beside(panels: list[Picture]) -> Picture:
    """Put panels side by side on gray, which suits a light and a dark page."""
    gap = np.full((SIDE, GAP, 3), 128, np.uint8)
    return np.hstack([part for panel in panels for part in (gap, panel)][1:])


def encoded(picture: Picture) -> bytes:
    """Return a picture as a small JPEG."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def main() -> None:
    """Draw and write all pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for method in METHODS.values():
        write_bytes(IMAGES / file_name(method), encoded(drawn(method)))


if __name__ == "__main__":
    main()
