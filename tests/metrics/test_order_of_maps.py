"""Metrics put maps of which it is known how good they are in the right order: the built-in network, exact masks.

The scenes are those where an intervention shows that the object, and nothing else, is the evidence: without it the
probability falls below 0.1, with it alone it stays above 0.5, while other objects are in the picture.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from pytorch_grad_cam.data.scenes import TEST_SEEDS, render_scene
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.metrics import METRICS
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlation import (
    FaithfulnessCorrelation,
    Infidelity,
    MuFidelity,
    ScaleFreeInfidelity,
    SensitivityN,
)
from pytorch_grad_cam.metrics.references import REFERENCES
from pytorch_grad_cam.metrics.thresholds import MaxBoxAcc, MaxBoxAccV2
from pytorch_grad_cam.models.shapes import load_shapes, preprocess

pytestmark = pytest.mark.again

SCENES = (0, 21, 33, 41, 42, 52, 60, 63)  # the first 8 of TEST_SEEDS of which this is so
WIDE = ("gradcam", "gradcam++", "xgradcam")  # they mark the whole object
METHODS = (*WIDE, "layercam", "hirescam")  # these a part of it
FEWER = {
    metric.name: metric
    for metric in (
        MaxBoxAcc(steps=20),
        MaxBoxAccV2(steps=20),
        FaithfulnessCorrelation(subsets=60),
        MuFidelity(subsets=60),
        SensitivityN(sizes=4, subsets=40),
    )
}
LOCAL = [FEWER.get(metric.name, metric) for metric in METRICS.values() if "masks" in metric.needs]
# The unscaled infidelity is that of a map's numbers: see the test at the end.
FAITHFUL = [
    FEWER.get(metric.name, metric)
    for metric in METRICS.values()
    if metric.needs == ("model",) and metric.name != "infidelity"
]
# No mask says which places of the object count most; methods do, and by so much may be better than the mask.
FINER_THAN_THE_OBJECT = 0.03
FINER = {"pixel_flipping_morf", "pixel_flipping_lerf", "symmetric_relevance_gain", "aopc", "insertion"}
FINER |= {"road_morf", "road_combined", "infidelity_scale_free"}
# Noise that multiplies the picture destroys all of it; its scattered holes are filled as if there were none.
NOISE_IS_NO_WORSE = {"average_drop_in_deletion", "road_lerf"}


@dataclass(frozen=True)
class Probability:
    """One yes or no per class: a sigmoid."""

    category: int

    def __call__(self, output: Tensor) -> Tensor:
        return output[self.category].sigmoid()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def grown(mask: Any, pixels: int) -> Any:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(mask.astype(np.uint8), disc).astype(bool)


def scene_of(net: Any, seed: int) -> tuple[Tensor, Any]:
    """The picture of a scene, and the object that is asked for; asserts that it is the evidence."""
    scene = render_scene(seed)
    thing, image = scene.objects[-1], preprocess(scene.image)
    around = torch.from_numpy(grown(thing.mask, 4))
    without, alone = image.masked_fill(around, 0), image.masked_fill(~around, 0)
    with torch.no_grad():
        before, gone, kept = net(torch.cat([image, without, alone]))[:, thing.index].sigmoid().tolist()
    assert len(scene.objects) > 1
    assert before > 0.9
    assert gone < 0.1
    assert kept > 0.5
    return image[0], thing


@cache
def known() -> tuple[Case, dict[str, Any]]:
    """The case of some scenes, and maps of them by name."""
    net = load_shapes()
    images, things = zip(*(scene_of(net, TEST_SEEDS[place]) for place in SCENES), strict=True)
    x, masks = torch.stack(images), np.stack([thing.mask for thing in things])
    classes = [thing.index for thing in things]
    # The outline alone is the class, and a hole or a cut-out of that form still shows it: the object is marked without.
    soft, narrow = (
        np.stack([cv2.GaussianBlur(grown(mask, pixels).astype(np.float32), (0, 0), sigma) for mask in masks])
        for pixels, sigma in ((7, 12), (0, 4))
    )
    maps = {name: make(x) for name, make in REFERENCES.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        maps |= {name: method_class(name)(net, "stage4")(x, classes) for name in METHODS}
    noise = maps["random"].numpy()
    maps |= {
        "mask": masks + 1e-3 * noise,
        "not mask": 1 - masks + noise / 2,
        "soft": soft,
        "narrow": narrow,
        "not soft": 1 - soft,
    }
    case = Case(x, maps["mask"], [Probability(each) for each in classes], net, masks=masks)
    assert float(case.scores.min()) > 0.9
    return case, maps


def measured(metric: Any, names: tuple[str, ...]) -> dict[str, float]:
    """The data set's number of some maps, larger ones being better."""
    case, maps = known()
    sign = 1 if metric.higher_is_better else -1
    return {name: sign * metric.aggregate(metric.statistics(case.with_maps(maps[name]))) for name in names}


@pytest.mark.parametrize("metric", LOCAL, ids=lambda metric: metric.name)
def test_localisation(metric: Any) -> None:
    """The mask, then methods, then noise, and last what is everywhere but there."""
    found = measured(metric, ("mask", *METHODS, "random", "not mask"))
    assert found["mask"] >= max(found[name] for name in METHODS), found
    assert min(found[name] for name in WIDE) > found["random"], found
    assert found["random"] >= found["not mask"], found
    if metric.name not in ("pointing_game", "localisation_error", "max_box_acc", "max_box_acc_v2"):  # hit or missed
        assert found["mask"] > max(found[name] for name in METHODS), found
        assert found["random"] > found["not mask"] or metric.name == "box_iou", found  # of both the whole picture


@pytest.mark.slow
@pytest.mark.parametrize("metric", FAITHFUL, ids=lambda metric: metric.name)
def test_faithfulness(metric: Any) -> None:
    best = "narrow" if isinstance(metric, (FaithfulnessCorrelation, SensitivityN)) else "soft"
    found = measured(metric, (best, *METHODS, "random", "not soft"))
    finer = FINER_THAN_THE_OBJECT if metric.name in FINER else 0
    assert found[best] >= max(found[name] for name in METHODS) - finer, found
    if metric.name not in NOISE_IS_NO_WORSE:
        assert min(found[name] for name in WIDE) > found["random"], found
    assert found["not soft"] <= min(found[name] for name in (*WIDE, "random")), found
    assert found["not soft"] < found[best], found


@pytest.mark.slow
def test_infidelity_without_a_scale_prefers_small_numbers() -> None:
    """Why it is not among those above: noise of a thousandth beats the mask, which beats itself times a hundredth."""
    case, maps = known()
    measured_of = lambda map: float(Infidelity().of(case.with_maps(map)).mean())  # noqa: E731
    mask, noise = torch.as_tensor(maps["narrow"]), maps["random"]
    assert measured_of(noise / 1000) < measured_of(mask)
    assert measured_of(mask / 100) < measured_of(mask)


@pytest.mark.slow
def test_noise_cannot_tell_where_the_object_is() -> None:
    """Why squares are the default: with the best scale all maps, noise too, have nearly the same value."""
    case, maps = known()
    noise, square = ScaleFreeInfidelity(change="noise"), ScaleFreeInfidelity()
    values = {
        name: [float(metric.of(case.with_maps(maps[name])).mean()) for metric in (noise, square)]
        for name in ("narrow", "random")
    }
    assert values["narrow"][0] == pytest.approx(values["random"][0], rel=0.05)
    assert values["narrow"][1] < values["random"][1] / 2
