"""Pictures of the search for a method of our own, in two halves that share no picture; and by what they are judged."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from benchmarks import networks
from benchmarks.localisation_cases import PREPARATION, LocalisationCase, _crops, _voc, scenes
from pytorch_grad_cam.evaluation.batches import ImageBatch
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.curves import InsertionMinusDeletion, SymmetricRelevanceGain
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.objects import object_masks
from pytorch_grad_cam.metrics.pointing import EnergyInside, PointingGame, RocAuc
from pytorch_grad_cam.metrics.questions import Scoring
from pytorch_grad_cam.metrics.randomisation import ParameterRandomisation, RandomLogit
from pytorch_grad_cam.metrics.robustness import MaxSensitivity

HALVES = ("development", "held out")
SEED = 0  # of the halves, and of all that is drawn


def thinned(case: Case) -> Case:
    """Return maps and masks at every n-th position of each axis, about 112 along the shortest: ranks of those will do.

    The maps are of layers with 30 positions along an axis at most, apart from the earliest.
    """
    step = max(1, round(min(case.maps.shape[1:]) / 112))
    axes = case.maps.ndim - 1
    places = (slice(None), *[slice(step // 2, None, step)] * axes)
    return Case(case.inputs[(slice(None), *places)], case.maps[places], masks=object_masks(case)[places])


class RankAuc(RocAuc):
    """`RocAuc` of `thinned` maps."""

    def measure(self, case: Case) -> Tensor:
        return super().measure(thinned(case))


class BestIoU(Metric):
    """The largest intersection over union that the map, cut at any of its own values, has with the object.

    A measure of ranks: no increasing function of the map changes it.
    """

    name, higher_is_better, range, needs = "best_iou", True, (0.0, 1.0), ("masks",)
    source = "the best threshold for each image, of J. Choe et al., 2020, arXiv:2001.07437, section 4.1"

    def measure(self, case: Case) -> Tensor:
        case = thinned(case)
        inside = object_masks(case).flatten(1)
        ordered, order = case.maps.flatten(1).sort(1, descending=True)
        hits = inside.gather(1, order).cumsum(1).double()
        places = torch.arange(1, hits.shape[1] + 1, device=hits.device, dtype=torch.float64)
        last = torch.ones_like(ordered, dtype=torch.bool)  # of equal values: they are cut together
        last[:, :-1] = ordered[:, :-1] != ordered[:, 1:]
        overlaps = hits / (places + inside.sum(1, keepdim=True) - hits)
        best = torch.where(last, overlaps, 0).amax(1)
        return torch.where(inside.any(1), best, torch.nan)


PLACES: tuple[Metric, ...] = (PointingGame(), EnergyInside(), RankAuc(), BestIoU())
AGAIN: tuple[Metric, ...] = (RandomLogit(), ParameterRandomisation(seeds=1), MaxSensitivity(samples=4))


def of_steps(steps: int) -> tuple[Metric, ...]:
    """Return what asks whether the score hangs on what is marked."""
    return (InsertionMinusDeletion(steps), SymmetricRelevanceGain(steps))


@dataclass(frozen=True)
class Setting:
    """One comparison: a network, pictures of a half, and metrics.

    Attributes:
        name: of its journal.
        title: for people.
        network: its name in `networks.NETWORKS`.
        metrics: by what maps are judged.
        images: from the number of the half, 0 or 1, and how many times as many pictures, to the batches.
        score: see ``evaluation.compare``.
    """

    name: str
    title: str
    network: str
    metrics: Sequence[Metric]
    images: Callable[[int, float], list[ImageBatch]]
    score: Scoring = "softmax"


def half_of(items: Sequence[int], half: int) -> list[int]:
    """Return one of two halves of what is counted, drawn by `SEED`."""
    order = np.random.default_rng(SEED).permutation(len(items))
    return [items[index] for index in order[half::2]]


def _located(cases: Sequence[LocalisationCase], picture: Sequence[int], batch: int) -> list[ImageBatch]:
    """Put questions into batches; the number of the picture in front of each name says which belong together."""
    found = []
    for start in range(0, len(cases), batch):
        some = cases[start : start + batch]
        names = [f"{number}: {case.target}" for number, case in zip(picture[start:], some, strict=False)]
        masks = torch.from_numpy(np.stack([case.mask for case in some]))
        found.append(ImageBatch(torch.stack([case.image for case in some]), [c.target for c in some], masks, ids=names))
    return found


def _by_picture(cases: Iterator[LocalisationCase], half: int, count: int, batch: int) -> list[ImageBatch]:
    groups = [list(group) for _, group in itertools.groupby(cases, key=lambda case: id(case.image))]
    chosen = half_of(range(len(groups)), half)[:count]
    together = [(case, number) for number in chosen for case in groups[number]]
    return _located([case for case, _ in together], [number for _, number in together], batch)


@cache
def _rendered() -> list[LocalisationCase]:
    return list(scenes(200))


def _scenes(count: int, single: bool = False) -> Callable[[int, float], list[ImageBatch]]:
    def made(half: int, times: float) -> list[ImageBatch]:
        found = _by_picture(iter(_rendered()), half, 200, 1_000_000)[0]
        numbers = [name.split(":")[0] for name in found.ids or ()]
        wanted = list(dict.fromkeys(numbers))[: max(2, round(count * times))]
        kept = [i for i, number in enumerate(numbers) if number in wanted]
        if single:  # one question of each picture
            kept = [i for i in kept if i == 0 or numbers[i] != numbers[i - 1]]
        return _cut(found, kept, 16)

    return made


def _cut(batch: ImageBatch, kept: Sequence[int], size: int) -> list[ImageBatch]:
    targets, ids, found = list(batch.targets), list(batch.ids or ()), []  # type: ignore[arg-type]
    for start in range(0, len(kept), size):
        rows = list(kept[start : start + size])
        masks = None if batch.masks is None else batch.masks[rows]
        found.append(ImageBatch(batch.inputs[rows], [targets[r] for r in rows], masks, ids=[ids[r] for r in rows]))
    return found


def _cifar(count: int) -> Callable[[int, float], list[ImageBatch]]:
    def made(half: int, times: float) -> list[ImageBatch]:
        file = np.load(networks.SHARED / "cifar10_test_500.npz")
        chosen = half_of(range(500), half)[: max(2, round(count * times))]
        whole = ImageBatch(_pixels(file["images"]), file["labels"].tolist(), ids=[f"{i}:" for i in range(500)])
        return _cut(whole, chosen, 16)

    return made


def _pixels(images: np.ndarray) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in PREPARATION["squeezenet"][:2])
    return (torch.from_numpy(images).movedim(-1, -3).float() / 255 - mean) / std


def _mosaic_cases(images: Tensor, labels: Sequence[int], count: int, pad: int = 0) -> Iterator[LocalisationCase]:
    """Put four pictures of different classes into one, drawn by `SEED`; every class of each is asked for."""
    draw, side = np.random.default_rng(SEED), images.shape[-1]
    for _ in range(count):
        chosen = draw.choice(len(labels), 4, replace=False)
        while len({labels[index] for index in chosen}) < 4:
            chosen = draw.choice(len(labels), 4, replace=False)
        rows = [torch.cat([images[chosen[i]], images[chosen[i + 1]]], 2) for i in (0, 2)]
        image = torch.nn.functional.pad(torch.cat(rows, 1), (0, pad, 0, pad))
        for place, index in enumerate(chosen):
            inside = np.zeros(image.shape[1:], bool)
            inside[side * (place // 2) :, side * (place % 2) :][:side, :side] = True
            yield LocalisationCase(image, int(labels[index]), inside)


def _cifar_mosaics(count: int) -> Callable[[int, float], list[ImageBatch]]:
    def made(half: int, times: float) -> list[ImageBatch]:
        file, chosen = np.load(networks.SHARED / "cifar10_test_500.npz"), half_of(range(500), half)
        cases = list(
            _mosaic_cases(_pixels(file["images"][chosen]), file["labels"][chosen], max(1, round(count * times)))
        )
        return _located(cases, [i // 4 for i in range(len(cases))], 16)

    return made


def _photo_mosaics(network: str, count: int) -> Callable[[int, float], list[ImageBatch]]:
    def made(half: int, times: float) -> list[ImageBatch]:
        crops = _crops(network)
        chosen = half_of(range(len(crops)), half)
        images, labels = torch.stack([crops[i][0] for i in chosen]), [crops[i][1] for i in chosen]
        cases = list(_mosaic_cases(images, labels, max(1, round(count * times)), PREPARATION[network][2] - 224))
        return _located(cases, [i // 4 for i in range(len(cases))], 4)

    return made


def _photos(network: str, count: int) -> Callable[[int, float], list[ImageBatch]]:
    def made(half: int, times: float) -> list[ImageBatch]:
        return _by_picture(
            (c for c, _ in _voc(network, networks.build(network))), half, max(2, round(count * times)), 8
        )

    return made


def _signals(count: int) -> Callable[[int, float], list[ImageBatch]]:
    def made(half: int, times: float) -> list[ImageBatch]:
        file = np.load(networks.SHARED / "gunpoint.npz")
        series = torch.from_numpy(file["test_x"]).float()[:, None]
        whole = ImageBatch(series, file["test_y"].tolist(), ids=[f"{i}:" for i in range(len(series))])
        return _cut(whole, half_of(range(len(series)), half)[: max(2, round(count * times))], 16)

    return made


def _keywords(count: int) -> Callable[[int, float], list[ImageBatch]]:
    def made(half: int, times: float) -> list[ImageBatch]:
        file = np.load(networks.SHARED / "keywords_mfcc_500.npz")
        sounds = torch.from_numpy((file["mfcc_int8"].astype(np.float32) - file["zero_point"]) * file["scale"])
        whole = ImageBatch(sounds.float()[:, None], file["labels"].tolist(), ids=[f"{i}:" for i in range(len(sounds))])
        return _cut(whole, half_of(range(len(sounds)), half)[: max(2, round(count * times))], 16)

    return made


def settings(shared: bool) -> list[Setting]:
    """Return the comparisons, the cheap ones first."""
    of_network = {
        "shapes": "Built-in network",
        "resnet20_cifar10": "ResNet-20",
        "vit_cifar10": "Vision transformer",
        "fcn1d": "1-D network",
        "keywords": "Keyword network",
        "squeezenet": "SqueezeNet",
        "mobilenet_v2": "MobileNetV2",
    }
    found = [
        ("shapes", "scenes", PLACES, _scenes(20)),
        ("shapes", "single", (*of_steps(10), *AGAIN), _scenes(12, True)),
    ]
    if shared:
        found += [
            ("fcn1d", "series", (*of_steps(10), *AGAIN), _signals(32)),
            ("keywords", "sounds", (*of_steps(10), *AGAIN), _keywords(32)),
            ("resnet20_cifar10", "mosaics", PLACES, _cifar_mosaics(20)),
            ("resnet20_cifar10", "pictures", (*of_steps(10), *AGAIN), _cifar(20)),
            ("vit_cifar10", "pictures", (*of_steps(10), *AGAIN), _cifar(20)),
            ("mobilenet_v2", "photos", PLACES, _photos("mobilenet_v2", 18)),
            ("squeezenet", "photos", PLACES, _photos("squeezenet", 18)),
            ("mobilenet_v2", "mosaics", PLACES, _photo_mosaics("mobilenet_v2", 6)),
            ("squeezenet", "mosaics", PLACES, _photo_mosaics("squeezenet", 4)),
            ("mobilenet_v2", "few photos", (*of_steps(5)[1:], *AGAIN), _photos("mobilenet_v2", 6)),
        ]
    return [
        Setting(
            f"{network}_{what.replace(' ', '_')}",
            f"{of_network[network]}, {what}",
            network,
            metrics,
            images,
            "sigmoid" if network == "shapes" else "softmax",
        )
        for network, what, metrics, images in found
    ]
