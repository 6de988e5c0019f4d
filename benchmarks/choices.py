"""What follows from a choice of layers, of the score, and of weights: in pairs, with intervals, by network.

`python -m benchmarks.choices` writes `benchmarks/results/choices.md`. Where is the thing that was asked for? In 2 x 2
mosaics of pictures that the network knows, in photos with boxes, and in the built-in scenes. Three numbers per
question: the *hit* (the maximum of the map lies on the thing), the *share* of the map's sum that does, and the *AUROC*
of the map for the thing's pixels, which sharpening cannot move. Questions about one picture belong together: resamples
draw pictures. And does the score hang on what is marked? By insertion minus deletion and symmetric relevance gain.

Of networks in `../shared` only where that is; of the built-in network everywhere.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import networks
from benchmarks.localisation_cases import PREPARATION, LocalisationCase, _voc, mosaics, scenes
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, GuidedGradCAM, HiResCAM, RefineCAM, ScoreCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.evaluation.experiment import compare
from pytorch_grad_cam.evaluation.statistics import CONFIDENCE, RESAMPLES, Interval, intervals
from pytorch_grad_cam.metrics import METRICS
from pytorch_grad_cam.targets.classification import ClassifierOutputSoftmaxTarget

RESULT = Path(__file__).parent / "results" / "choices.md"
MEASURES = ("hits", "share", "AUROC")
FAITHFUL = ("insertion_minus_deletion", "symmetric_relevance_gain")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """One way to make a map of a class.

    Attributes:
        make: the method's object for a network.
        options: of the call.
        target: from a class to what is asked.
    """

    make: Callable[[nn.Module], BaseCAM]
    options: Mapping[str, Any] = field(default_factory=dict)
    target: Callable[[int], Any] = int


CHOICES = {
    "gradcam": Choice(GradCAM),
    "gradcam, contrast rest": Choice(GradCAM, {"contrast": "rest"}),
    "gradcam, stages": Choice(partial(GradCAM, target_layers="stages")),
    "hirescam": Choice(HiResCAM),
    "hirescam, stages": Choice(partial(HiResCAM, target_layers="stages")),
    "refinecam": Choice(RefineCAM),
    "gradcam++": Choice(GradCAMPlusPlus),
    "gradcam++, epsilon=0": Choice(partial(GradCAMPlusPlus, epsilon=0)),
    "gradcam++, normalized": Choice(partial(GradCAMPlusPlus, normalized=True)),
    "guidedgradcam": Choice(GuidedGradCAM),
    "scorecam": Choice(ScoreCAM),
    "scorecam, of the probability": Choice(ScoreCAM, target=ClassifierOutputSoftmaxTarget),
    "scorecam, softmax of the probability": Choice(
        partial(ScoreCAM, weighting="softmax"), target=ClassifierOutputSoftmaxTarget
    ),
}
# What is compared with what.
PAIRS = (
    ("hirescam, stages", "gradcam"),
    ("gradcam, stages", "gradcam"),
    ("refinecam", "gradcam"),
    ("refinecam", "hirescam, stages"),
    ("gradcam, contrast rest", "gradcam"),
    ("gradcam++", "gradcam++, epsilon=0"),
    ("gradcam++, normalized", "gradcam++, epsilon=0"),
    ("scorecam, of the probability", "scorecam, softmax of the probability"),
    ("scorecam, of the probability", "scorecam"),
)
SCORES = tuple(name for name in CHOICES if name.startswith("scorecam"))
USUAL = tuple(name for name in CHOICES if name not in (*SCORES, "guidedgradcam"))


@dataclass(frozen=True)
class Setting:
    """A network and pictures in which it is known where things are."""

    title: str
    network: str
    cases: Callable[[int], Iterable[LocalisationCase]]  # from how many pictures are wanted
    choices: Sequence[str] = USUAL


def cifar_mosaics(count: int) -> Iterator[LocalisationCase]:
    """Four test pictures of different classes in one of 64 x 64; every class of each is asked for."""
    file = np.load(networks.SHARED / "cifar10_test_500.npz")
    mean, std = (torch.tensor(values)[:, None, None] for values in PREPARATION["squeezenet"][:2])
    draw = np.random.default_rng(0)
    for _ in range(count):
        labels = draw.choice(10, 4, replace=False)
        tiles = [file["images"][draw.choice(np.flatnonzero(file["labels"] == label))] for label in labels]
        pixels = np.concatenate([np.concatenate(tiles[:2], 1), np.concatenate(tiles[2:], 1)])
        image = (torch.from_numpy(pixels).movedim(-1, 0) / 255 - mean) / std
        for place, label in enumerate(labels):
            inside = np.zeros((64, 64), bool)
            inside[32 * (place // 2) :, 32 * (place % 2) :][:32, :32] = True
            yield LocalisationCase(image, int(label), inside)


def photos(network: str, count: int) -> Iterator[LocalisationCase]:
    """Pascal VOC photos and their classes, wherever the boxes are: eight for each of ``count`` mosaics."""
    grouped = groupby((case for case, _ in _voc(network, networks.build(network))), key=lambda case: id(case.image))
    for index, (_, group) in enumerate(grouped):
        if index < 8 * count:
            yield from group


SETTINGS = (
    Setting("built-in network: scenes", "shapes", lambda count: scenes(8 * count)),
    Setting("ResNet-20, CIFAR-10: mosaics", "resnet20_cifar10", lambda count: cifar_mosaics(4 * count), tuple(CHOICES)),
    Setting("SqueezeNet, ImageNet: mosaics", "squeezenet", lambda count: mosaics("squeezenet", 2 * count)),
    Setting("SqueezeNet, ImageNet: photos", "squeezenet", partial(photos, "squeezenet")),
    Setting(
        "MobileNetV2, ImageNet: mosaics",
        "mobilenet_v2",
        lambda count: mosaics("mobilenet_v2", 2 * count),
        (*USUAL, "guidedgradcam"),
    ),
    Setting("MobileNetV2, ImageNet: photos", "mobilenet_v2", partial(photos, "mobilenet_v2")),
)


def measured(model: nn.Module, cases: Iterable[LocalisationCase], names: Sequence[str]) -> tuple[np.ndarray, int]:
    """Return each choice's hits, share and AUROC, means of a picture's questions ``(n, choices, 3)``; and how many."""
    cams = {name: CHOICES[name].make(model) for name in names}
    rows, questions = [], 0
    for _, group in groupby(cases, key=lambda case: id(case.image)):
        together = list(group)
        masks = np.stack([case.mask for case in together])
        questions += len(together)
        row = []
        for name in names:
            choice = CHOICES[name]
            targets = [choice.target(case.target) for case in together]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a map of nothing counts as a miss
                maps = cams[name].explain_each(together[0].image[None], targets, **choice.options).numpy()[0]
            inputs = together[0].image.expand(len(together), -1, -1, -1)
            area = METRICS["roc_auc"](inputs, maps, masks=masks)
            row.append([_hits(maps, masks), _shares(maps, masks), float(area.nanmean())])
        rows.append(row)
    return np.array(rows, np.float64), questions


def _hits(maps: np.ndarray, masks: np.ndarray) -> float:
    found = [one.max() > 0 and mask.flat[one.argmax()] for one, mask in zip(maps, masks, strict=True)]
    return float(np.mean(found))


def _shares(maps: np.ndarray, masks: np.ndarray) -> float:
    totals = maps.sum((1, 2), dtype=np.float64)
    inside = (maps * masks).sum((1, 2), dtype=np.float64)
    return float(np.mean(np.where(totals > 0, inside / np.where(totals > 0, totals, 1), 0)))


def section(setting: Setting, count: int) -> list[str]:
    """Measure one setting, and write its tables."""
    model, names = networks.build(setting.network), list(setting.choices)
    values, questions = measured(model, setting.cases(count), names)
    log.info("%s: %s questions", setting.title, questions)
    lines = [f"## {setting.title}", "", f"n = {len(values)} pictures, {questions} questions.", ""]
    lines += ["| choice | " + " | ".join(MEASURES) + " |", "| --- | --- | --- | --- |"]
    for index, name in enumerate(names):
        lines.append(f"| {name} | " + " | ".join(map(_text, intervals(values[:, index], seed=0))) + " |")
    pairs = [pair for pair in PAIRS if set(pair) <= set(names)]
    lines += ["", "| difference | " + " | ".join(MEASURES) + " |", "| --- | --- | --- | --- |"]
    for first, second in pairs:
        apart = values[:, names.index(first)] - values[:, names.index(second)]
        lines.append(f"| {first} − {second} | " + " | ".join(map(_text, intervals(apart, seed=0))) + " |")  # noqa: RUF001
    return [*lines, ""]


def _text(found: Interval) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def faithfulness(title: str, network: str, images: Tensor, targets: list[int]) -> list[str]:
    """Measure on what the score hangs, beside what is marked."""
    names = ("gradcam", "gradcam, contrast rest", "gradcam, stages", "hirescam, stages", "refinecam")
    model = networks.build(network)
    methods = {name: partial(_maps, CHOICES[name].make(model), CHOICES[name]) for name in names}
    found = compare(model, images, methods, targets=targets, metrics=list(FAITHFUL), progress=False, seed=0)
    heads = [name.replace("_", " ") for name in FAITHFUL]
    lines = [f"## {title}", "", f"n = {len(images)} pictures.", ""]
    lines += ["| choice | " + " | ".join(heads) + " |", "| --- | --- | --- |"]
    for row in found.rows:
        lines.append(f"| {row.id} | " + " | ".join(_text(found.interval(row.id, name)) for name in FAITHFUL) + " |")
    lines += ["", "| difference | " + " | ".join(heads) + " |", "| --- | --- | --- |"]
    for first, second in (pair for pair in PAIRS if set(pair) <= set(names)):
        cells = [_text(found.difference(first, second, name)) for name in FAITHFUL]
        lines.append(f"| {first} − {second} | " + " | ".join(cells) + " |")  # noqa: RUF001
    return [*lines, ""]


def _maps(cam: BaseCAM, choice: Choice, inputs: Tensor, targets: Any, model: nn.Module) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return cam.explain(inputs, targets, **choice.options).maps


def main() -> None:
    parser = argparse.ArgumentParser(description="choices of layers, score and weights, in pairs")
    parser.add_argument("--mosaics", type=int, default=10, help="pictures of each kind follow from it (default: 10)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)
    lines = [
        "# Choices of layers, score and weights",
        "",
        f"Written by `python -m benchmarks.choices --mosaics {options.mosaics}`, which says how it is measured.",
        f"Means and bootstrap intervals ({CONFIDENCE:.0%}, {RESAMPLES} resamples of pictures); differences are paired.",
        "",
    ]
    for part in _parts(options.mosaics):
        lines += part  # written at once: a run may be stopped
        write_bytes(options.output, ("\n".join(lines).rstrip() + "\n").encode())


def _parts(count: int) -> Iterator[list[str]]:
    """Yield the sections, one after the other."""
    for setting in SETTINGS:
        if setting.network == "shapes" or networks.SHARED.is_dir():
            yield section(setting, count)
    cases = {id(case.image): case for case in scenes(8 * count)}.values()
    images, targets = torch.stack([case.image for case in cases]), [case.target for case in cases]
    yield faithfulness("built-in network: does the score hang on it?", "shapes", images, targets)
    if networks.SHARED.is_dir():
        file = np.load(networks.SHARED / "cifar10_test_500.npz")
        mean, std = (torch.tensor(values)[:, None, None] for values in PREPARATION["squeezenet"][:2])
        images = (torch.from_numpy(file["images"][: 8 * count]).movedim(-1, 1) / 255 - mean) / std
        targets = [int(label) for label in file["labels"][: len(images)]]
        for network in ("vit_cifar10", "resnet20_cifar10"):
            yield faithfulness(f"{network}: does the score hang on it?", network, images, targets)


if __name__ == "__main__":
    main()
