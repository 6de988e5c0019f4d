"""Pictures in which it is known where the thing asked for is, and is not in the middle.

A single centred object cannot tell a good map from a blob in the middle. These can: 2 x 2 mosaics of photos,
photos whose boxes miss the centre, and the built-in scenes, whose masks are exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import functional as pictures

from benchmarks.networks import SHARED

# Mean, standard deviation and side of the pictures that a network was trained on.
PREPARATION = {
    "squeezenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224),
    "mobilenet_v2": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 225),
}
LAYERS = {"squeezenet": "features.12", "mobilenet_v2": "features.18", "shapes": "stage4"}


@dataclass(frozen=True, eq=False)
class LocalisationCase:
    """Where is this? `image` (3, H, W) is ready for the network, `mask` (H, W) true where the thing is."""

    image: Tensor
    target: int
    mask: np.ndarray


def _ready(image: Image.Image | np.ndarray, network: str) -> Tensor:
    mean, std, _ = PREPARATION[network]
    return pictures.normalize(pictures.to_tensor(image), mean, std)


def _crops(network: str) -> list[tuple[Tensor, int]]:
    """Centre crops (3, 224, 224) of the single-object photos, with their classes."""
    folder = SHARED / "imagenet_samples"
    rows = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    crops = []
    for row in rows:
        image = Image.open(folder / row["file"]).convert("RGB")
        crop = pictures.center_crop(pictures.resize(image, 256), 224)
        crops.append((_ready(crop, network), row["class_index"]))
    return crops


def mosaics(network: str, count: int = 20, seed: int = 0) -> Iterator[LocalisationCase]:
    """Four photos of different classes in one picture of 448 x 448; every class of each is asked for.

    MobileNetV2 wants a side of 32 k + 1: its mosaics get one neutral row and column at the end.
    """
    crops = _crops(network)
    draw = np.random.default_rng(seed)
    spare = PREPARATION[network][2] - 224
    for _ in range(count):
        chosen = draw.choice(len(crops), 4, replace=False)
        tiles = [crops[index][0] for index in chosen]
        rows = [torch.cat(tiles[:2], 2), torch.cat(tiles[2:], 2)]
        image = F.pad(torch.cat(rows, 1), (0, spare, 0, spare))  # (3, 448, 448) or (3, 449, 449)
        for place, index in enumerate(chosen):
            inside = np.zeros(image.shape[1:], bool)
            top, left = 224 * (place // 2), 224 * (place % 2)
            inside[top : top + 224, left : left + 224] = True
            yield LocalisationCase(image, crops[index][1], inside)


def off_centre(network: str, model: nn.Module) -> Iterator[LocalisationCase]:
    """Pascal VOC photos and a class none of whose boxes covers the centre."""
    middle = PREPARATION[network][2] // 2
    return (case for case, _ in _voc(network, model) if not case.mask[middle, middle])


def several(network: str, model: nn.Module) -> Iterator[LocalisationCase]:
    """Pascal VOC photos with two objects or more, and each class that is there."""
    return (case for case, objects in _voc(network, model) if objects > 1)


def _voc(network: str, model: nn.Module) -> Iterator[tuple[LocalisationCase, int]]:
    """Pascal VOC photos, squashed to the network's side, a class of each, and the number of objects.

    The target is the ImageNet class with the highest score among those that belong to the VOC class.
    """
    folder, side = SHARED / "voc2012", PREPARATION[network][2]
    belonging = json.loads((SHARED / "voc_to_imagenet.json").read_text(encoding="utf-8"))
    for row in json.loads((folder / "annotations.json").read_text(encoding="utf-8")):
        with torch.no_grad():
            photo = Image.open(folder / row["file"]).convert("RGB")
            image = _ready(photo.resize((side, side), Image.Resampling.BILINEAR), network)
            scores = model(image[None])[0]
        for label in sorted({thing["label"] for thing in row["objects"]} & belonging.keys()):
            x, y = ((np.arange(side) + 0.5) / side * row[name] for name in ("width", "height"))
            inside = np.zeros((side, side), bool)
            for left, top, right, bottom in (t["box"] for t in row["objects"] if t["label"] == label):
                inside |= ((y >= top) & (y <= bottom))[:, None] & ((x >= left) & (x <= right))
            target = max(belonging[label], key=lambda index: scores[index])
            yield LocalisationCase(image, target, inside), len(row["objects"])


def scenes(count: int = 200) -> Iterator[LocalisationCase]:
    """The first of the scenes that the built-in network never saw, every object of each asked for."""
    from pytorch_grad_cam.data.scenes import TEST_SEEDS, render_scene
    from pytorch_grad_cam.models.shapes import MEAN, STD

    for seed in TEST_SEEDS[:count]:
        scene = render_scene(seed)
        image = pictures.normalize(pictures.to_tensor(scene.image), MEAN, STD)
        for thing in scene.objects:
            yield LocalisationCase(image, thing.index, thing.mask)


def plain_cam(network: str, model: nn.Module, pictures: Tensor, classes: list[int]) -> Tensor:
    """Plain CAM, where it is exact: the classifier as a 1 x 1 convolution of the features, signed (B, h, w)."""
    features = model.features(pictures)
    if network == "squeezenet":
        scores = model.classifier[2](model.classifier[1](features))  # (B, 1000, h, w)
        return scores[torch.arange(len(classes)), classes]
    return torch.einsum("bc,bchw->bhw", model.classifier[1].weight[classes], features)
