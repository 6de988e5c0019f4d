"""Draw what the methods say about photos, for docs/methods/*.md: docs/images/photos/*.jpg.

    python -m tools.draw_photos
    python -m tools.draw_photos gradcam hirescam

Two photos lie side by side in one picture, a cup of espresso and a cat, and every method is asked for both. They come
with scikit-image, and are free for everybody (CC0, as `skimage.data.coffee` and `skimage.data.chelsea` say): Rachel
Michetti made that of the cup, Stefan van der Walt that of the cat.

The bundled network knows no photos, so these pictures are of a SqueezeNet 1.0 for ImageNet, which is not part of the
project: benchmarks/real_data.md says where it comes from. It takes some ten minutes on one core, most of it for the
methods of hundreds of passes. Those of attention need a transformer, and none that knows photos is small enough to be
at hand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks import networks
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.methods import METHODS, Method
from pytorch_grad_cam.visualization.colormaps import clip_outliers
from pytorch_grad_cam.visualization.overlay import show_cam_on_image
from tools.draw_gallery import GAP, encoded, file_name, of_single_pixels

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images" / "photos"
BOTH = IMAGES / "cup_and_cat.jpg"
CLASSES = (967, 285)  # of ImageNet: espresso, Egyptian cat
DEAR = ("sscam", "iscam")  # which take a thousand times the passes of most: drawn when they are named
SIDE, SEEN = 240, 192  # pixels of a photo as it is drawn, and as the network sees it
CUP, CAT = (90, 400), (75, 300)  # of each photo the left edge and the side of the square that is taken
Picture = NDArray[np.uint8]


def with_photo() -> list[Method]:
    """Return the methods whose picture has been drawn."""
    return [method for method in METHODS.values() if (IMAGES / file_name(method)).exists()]


def both_photos() -> Picture:
    """Put the photos of scikit-image side by side, as they are stored here."""
    from skimage import data

    squares = []
    for photo, (left, side) in ((data.coffee(), CUP), (data.chelsea(), CAT)):
        square = Image.fromarray(photo).crop((left, 0, left + side, side))
        squares.append(np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))
    return np.hstack(squares)


@cache
def network() -> nn.Module:
    """Return the SqueezeNet.

    Raises:
        FileNotFoundError: where its weights are not at hand.
    """
    return networks.build("squeezenet").eval()


def inputs() -> Tensor:
    """Return what the network sees, (1, 3, 192, 384)."""
    return Preprocessing((SEEN, 2 * SEEN), crop=None)(read_image(BOTH))[None]


def drawn(method: Method) -> Picture:
    """Draw both maps over the photos, one below the other."""
    found = method.load()(network()).explain_each(inputs(), list(CLASSES)).numpy()[0]
    maps = [clip_outliers(map) for map in found] if of_single_pixels(method) else list(found)
    both = read_image(BOTH)
    above, below = (show_cam_on_image(both, map, True, "inferno") for map in maps)
    return np.vstack([above, np.full((GAP, *both.shape[1:]), 128, np.uint8), below])


def main(names: Sequence[str]) -> None:
    """Draw and write the pictures of the methods that are named, or of all but the dear ones."""
    if not BOTH.exists():
        write_bytes(BOTH, encoded(both_photos()))
    cheap = [name for name, method in METHODS.items() if method.needs != "attention" and name not in DEAR]
    for method in [METHODS[name] for name in names or cheap]:
        print(method.name, flush=True)
        write_bytes(IMAGES / file_name(method), encoded(drawn(method)))


if __name__ == "__main__":
    main(sys.argv[1:])
