"""What the scoreboard measures on: networks, pictures with known objects, methods, and metrics."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import functional as pictures

from benchmarks import networks
from benchmarks.localisation_cases import PREPARATION, LocalisationCase, off_centre, scenes, several
from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.scenes import TEST_SEEDS, render_scene
from pytorch_grad_cam.evaluation.batches import ImageBatch
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.metrics.table import METRICS
from pytorch_grad_cam.models.shapes import MEAN, STD

# A hundred passes per map and more: measured on fewer pictures, and not by what explains again many times.
DEAR = ("sess", "scorecam", "gscorecam", "integratedgradients", "opticam", "rise", "iscam", "sscam")
MODERATE = ("smoothgrad", "vargrad")  # likewise too many to explain again and again
FAITHFULNESS = ("insertion", "deletion", "symmetric_relevance_gain")
OF_OBJECTS = ("energy_to_chance", "pointing_game")
AGAIN = ("arcc", "max_sensitivity", "parameter_randomisation")
BATCH = 16


@dataclass(frozen=True)
class Part:
    """One comparison: which methods are measured by which metrics on which pictures.

    Attributes:
        name: of its journal.
        methods: their names.
        metrics: their names.
        images: makes the batches.
        score: see ``evaluation.compare``.
        groups: of the pictures, by the names of situations: which belong to it.
    """

    name: str
    methods: Sequence[str]
    metrics: Sequence[str]
    images: Callable[[], list[ImageBatch]]
    score: str = "softmax"
    groups: Callable[[], dict[str, list[bool]]] | None = None


@dataclass(frozen=True)
class Board:
    """One table: a network, and the parts that are put together in it."""

    name: str
    title: str
    about: str
    network: Callable[[], nn.Module]
    parts: Sequence[Part]
    categories: Sequence[str] | None = None


@dataclass(frozen=True)
class Sizes:
    """How many pictures: of all methods but the dear ones, of these, and where maps are made again and again."""

    scenes: int = 60
    dear: int = 15
    again: int = 12
    photos: int = 24


QUICK = Sizes(2, 1, 4, 2)


def boards(sizes: Sizes, shared: bool, methods: Sequence[str] | None = None) -> list[Board]:
    """Return all tables; with ``shared`` also those of the networks that lie beside some checkouts."""
    found = [_shapes(sizes)]
    if shared:
        found += [_squeezenet(sizes), _cifar(sizes)]
    if methods is None:
        return found
    return [
        replace(board, parts=[replace(part, methods=[m for m in part.methods if m in methods]) for part in board.parts])
        for board in found
    ]


def _for(*needs: str) -> tuple[list[str], list[str], list[str]]:
    """Return the methods that suit a network: all but the dear, the dear, and those for the metrics of `AGAIN`."""
    fitting = [name for name, method in METHODS.items() if method.needs in ("", *needs)]
    usual = [name for name in fitting if name not in DEAR]
    return usual, [name for name in fitting if name in DEAR], [name for name in usual if name not in MODERATE]


def _again(*more: str) -> list[str]:
    return [name for name in (*more, *AGAIN) if name in METRICS]


def _batches(cases: Sequence[LocalisationCase], names: Sequence[str]) -> list[ImageBatch]:
    found = []
    for start in range(0, len(cases), BATCH):
        some = cases[start : start + BATCH]
        found.append(
            ImageBatch(
                torch.stack([case.image for case in some]),
                [case.target for case in some],
                torch.from_numpy(np.stack([case.mask for case in some])),
                ids=names[start : start + BATCH],
            )
        )
    return found


# --- the bundled network, on scenes whose objects are known to the pixel


def _shapes(sizes: Sizes) -> Board:
    usual, dear, cheap = _for("pooled head")
    metrics = (*OF_OBJECTS, *FAITHFULNESS)
    return Board(
        "shapes",
        "The bundled network, rendered scenes, exact masks",
        f"Every object of the first {sizes.scenes} test scenes; for methods of very many passes of the first "
        f"{sizes.dear}. What explains again: {sizes.again} scenes with one object.",
        lambda: networks.build("shapes"),
        [
            Part(
                f"scenes{sizes.scenes}", usual, metrics, lambda: _scenes(sizes.scenes), "sigmoid", _groups(sizes.scenes)
            ),
            Part(f"scenes{sizes.dear}_dear", dear, metrics, lambda: _scenes(sizes.dear), "sigmoid"),
            Part(f"single{sizes.again}", cheap, _again("gridpg"), lambda: _singles(sizes.again), "sigmoid"),
        ],
        SHAPES,
    )


def _scenes(count: int) -> list[ImageBatch]:
    cases = list(scenes(count))
    return _batches(cases, [f"{SHAPES[case.target]} {index}" for index, case in enumerate(cases)])


def _groups(count: int) -> Callable[[], dict[str, list[bool]]]:
    def groups() -> dict[str, list[bool]]:
        cases = list(scenes(count))
        alone = [len(list(group)) for _, group in itertools.groupby(cases, key=lambda case: id(case.image))]
        objects = [number for number in alone for _ in range(number)]
        areas = [float(case.mask.mean()) for case in cases]
        low, high = np.quantile(areas, [1 / 3, 2 / 3])
        return {
            "one object": [number == 1 for number in objects],
            "two or three objects": [number > 1 for number in objects],
            f"small objects (below {low:.1%} of the picture)": [area <= low for area in areas],
            f"large objects (above {high:.1%})": [area >= high for area in areas],
        }

    return groups


def _singles(count: int) -> list[ImageBatch]:
    """Scenes with one object each, class after class, all in one batch: mosaics are made of a batch."""
    rendered = [render_scene(seed, [SHAPES[place % len(SHAPES)]]) for place, seed in enumerate(TEST_SEEDS[:count])]
    images = [pictures.normalize(pictures.to_tensor(scene.image), MEAN, STD) for scene in rendered]
    classes = [scene.objects[0].index for scene in rendered]
    return [
        ImageBatch(torch.stack(images), classes, ids=[f"{SHAPES[index]} alone {n}" for n, index in enumerate(classes)])
    ]


# --- networks and pictures that lie beside some checkouts


def _squeezenet(sizes: Sizes) -> Board:
    usual, _, cheap = _for()
    metrics = (*OF_OBJECTS, *FAITHFULNESS)

    def photos() -> list[LocalisationCase]:
        model = networks.build("squeezenet")
        return [*off_centre("squeezenet", model)][: sizes.photos // 2] + [*several("squeezenet", model)][
            : sizes.photos // 2
        ]

    def of_photos() -> list[ImageBatch]:
        cases = photos()
        return _batches(cases, [f"photo {index}" for index in range(len(cases))])

    def mosaics() -> list[ImageBatch]:
        folder = networks.SHARED / "imagenet_samples"
        rows = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))[: 4 * sizes.again // 3]
        mean, std, side = PREPARATION["squeezenet"]
        images = [_crop(folder / row["file"], side, mean, std) for row in rows]
        return [
            ImageBatch(torch.stack(images), [row["class_index"] for row in rows], ids=[row["file"] for row in rows])
        ]

    return Board(
        "squeezenet",
        "SqueezeNet 1.0 (ImageNet), photos of Pascal VOC, boxes",
        f"{sizes.photos} questions about photos: classes none of whose boxes covers the centre, and classes of photos "
        "with several objects. GridPG: mosaics of ImageNet photos, a class each.",
        lambda: networks.build("squeezenet"),
        [
            Part(f"photos{sizes.photos}", [m for m in usual if m not in MODERATE], metrics, of_photos),
            Part(f"grid{sizes.again}", cheap, ("gridpg",), mosaics),
        ],
    )


def _crop(file: Path, side: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    image = pictures.center_crop(pictures.resize(Image.open(file).convert("RGB"), 256), side)
    return pictures.normalize(pictures.to_tensor(image), mean, std)


def _cifar(sizes: Sizes) -> Board:
    usual, _, cheap = _for("attention")

    def images(count: int) -> Callable[[], list[ImageBatch]]:
        def made() -> list[ImageBatch]:
            file = np.load(networks.SHARED / "cifar10_test_500.npz")
            pixels = torch.from_numpy(file["images"][:count]).movedim(-1, 1).float() / 255
            inputs = pictures.normalize(pixels, PREPARATION["squeezenet"][0], PREPARATION["squeezenet"][1])
            labels = [int(label) for label in file["labels"][:count]]
            return [
                ImageBatch(
                    inputs[start : start + BATCH],
                    labels[start : start + BATCH],
                    ids=[f"picture {index}" for index in range(start, min(start + BATCH, count))],
                )
                for start in range(0, count, BATCH)
            ]

        return made

    return Board(
        "vit_cifar10",
        "A small vision transformer (CIFAR-10), no annotation",
        f"The first {2 * sizes.scenes} test pictures, their labels; what explains again: the first {sizes.again}.",
        lambda: networks.build("vit_cifar10"),
        [
            Part(f"pictures{2 * sizes.scenes}", usual, FAITHFULNESS, images(2 * sizes.scenes)),
            Part(f"again{sizes.again}", cheap, _again(), images(sizes.again)),
        ],
    )
