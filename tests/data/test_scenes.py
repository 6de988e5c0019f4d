"""Scenes: a seed draws the same picture always, masks are exact, and only the outline tells the class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pytorch_grad_cam.data import outlines, scenes
from pytorch_grad_cam.data.scenes import SHAPES, Scene, render_scene

SEEDS = scenes.VALIDATION_SEEDS[:150]


@pytest.fixture(scope="module")
def drawn() -> list[Scene]:
    return [render_scene(seed) for seed in SEEDS]


def test_the_same_seed_gives_the_same_pixels_whatever_the_global_state() -> None:
    np.random.seed(1)
    first = render_scene(7)
    np.random.seed(2)
    before = np.random.get_state()[1].copy()
    second = render_scene(7)
    assert np.array_equal(before, np.random.get_state()[1])
    assert np.array_equal(first.image, second.image)
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first.objects, second.objects, strict=True))
    assert not np.array_equal(first.image, render_scene(8).image)


def test_seeds_for_training_and_for_measuring_do_not_overlap() -> None:
    train, validation, test = (set(seeds) for seeds in (scenes.TRAIN_SEEDS, scenes.VALIDATION_SEEDS, scenes.TEST_SEEDS))
    assert len(test) == 1000
    assert len(train | validation | test) == len(train) + len(validation) + len(test)


def test_masks_are_disjoint_and_boxes_are_tight(drawn: list[Scene]) -> None:
    for scene in drawn:
        assert scene.image.shape == (128, 128, 3)
        assert scene.image.dtype == np.uint8
        assert 1 <= len(scene.objects) <= 3
        assert len({item.label for item in scene.objects}) == len(scene.objects)
        assert sum(item.mask.astype(int) for item in scene.objects).max() == 1
        for item in scene.objects:
            assert SHAPES[item.index] == item.label
            x1, y1, x2, y2 = item.box
            inside = item.mask[y1:y2, x1:x2]
            assert inside.sum() == item.mask.sum() > 0
            assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_the_mask_is_where_the_object_was_painted() -> None:
    """On a clean scene of one object, every pixel away from its edge has its colour or the background's."""
    for label in SHAPES:
        scene = render_scene(3, [label], difficulty=0.0)
        (item,) = scene.objects
        inner, outer = _eroded(item.mask, 1), _eroded(~item.mask, 2)
        paint, ground = (np.median(scene.image[part], axis=0) for part in (inner, outer))
        painted = np.abs(scene.image - paint).sum(2) < np.abs(scene.image - ground).sum(2)
        assert (painted == item.mask)[inner | outer].mean() > 0.97, label


def _eroded(mask: np.ndarray, steps: int) -> np.ndarray:
    for _ in range(steps):
        wide = np.pad(mask, 1, constant_values=True)
        mask = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask


@pytest.mark.parametrize(
    ("label", "area"),  # of the outline in a unit circle, on paper
    [
        ("circle", np.pi),
        ("square", 2.0),
        ("triangle", 3 * np.sqrt(3) / 4),
        ("star", 10 * 0.5 * 0.42 * np.sin(np.pi / 5)),
        ("cross", 8 * 0.29 * np.sqrt(1 - 0.29**2) - 4 * 0.29**2),
        ("ring", np.pi * (1 - 0.55**2)),
        ("arrow", 0.9 * 0.78 + 1.05 * 0.56),
        ("hourglass", 2 * 0.8 * (0.12 + 0.6)),
    ],
)
def test_outlines_are_filled_exactly(label: str, area: float) -> None:
    rings = [20 * ring + np.array([64.3, 63.8]) for ring in outlines.OUTLINES[label]]
    assert scenes._coverage(rings).sum() == pytest.approx(400 * area, rel=0.01)
    assert outlines.area_of(rings) == pytest.approx(400 * area, rel=0.01)


def test_sizes_overlaps_and_numbers_of_objects_vary(drawn: list[Scene]) -> None:
    boxes = [item.box for scene in drawn for item in scene.objects]
    extents = [max(x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
    assert min(extents) < 26
    assert max(extents) > 50
    assert {len(scene.objects) for scene in drawn} == {1, 2, 3}
    near = [sum((~_eroded(~item.mask, 2)).astype(int) for item in scene.objects) for scene in drawn]
    assert sum(count.max() > 1 for count in near) > 0.1 * len(drawn)


def _leak(features: np.ndarray, classes: np.ndarray) -> float:
    """How often the nearest class mean, learnt on one half, is right on the other half; chance is 0.1."""
    features = (features - features.mean(0)) / features.std(0)
    half = len(classes) // 2
    means = np.stack([features[:half][classes[:half] == index].mean(0) for index in range(len(SHAPES))])
    nearest = np.linalg.norm(features[half:, None] - means, axis=2).argmin(1)
    return float((nearest == classes[half:]).mean())


@pytest.mark.parametrize(
    "feature",
    [
        lambda scene, item: scene.image[item.mask].mean(0),
        lambda scene, item: scene.image[item.mask].std(0),
        lambda scene, item: scene.image[~item.mask].mean(0),
        lambda scene, item: np.add(item.box[:2], item.box[2:]),
    ],
    ids=["colour", "fill", "background", "place"],
)
def test_nothing_but_the_outline_tells_the_class(feature: Callable, drawn: list[Scene]) -> None:
    pairs = [(scene, item) for scene in drawn for item in scene.objects]
    classes = np.array([item.index for _, item in pairs])
    features = np.stack([feature(scene, item) for scene, item in pairs]).astype(float)
    assert _leak(features, classes) < 0.2
    features[:, 0] += 3 * features[:, 0].std() * classes  # and the check does see a leak
    assert _leak(features, classes) > 0.3


def test_chosen_labels_and_difficulty() -> None:
    scene = render_scene(5, ["star", "ring", "heart"], difficulty=0.2)
    assert {item.label for item in scene.objects} == {"star", "ring", "heart"}
    with pytest.raises(ValueError, match="banana"):
        render_scene(0, ["banana"])
    with pytest.raises(ValueError, match="one to three different"):
        render_scene(0, ["star", "star"])
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        render_scene(0, difficulty=2)
