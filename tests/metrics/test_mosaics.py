"""Mosaics of the user's own pictures: how they are chosen and put together, and what is measured on them."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import FlatLinear, build, inputs
from helpers.unchanged_model import assert_unchanged
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.scenes import TEST_SEEDS, render_scene
from pytorch_grad_cam.metrics import METRICS
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.mosaics import Focus, GridPG, cell_shares, focus_groups, grid_groups, mosaic_of
from pytorch_grad_cam.models.shapes import load_shapes, preprocess

AXES = {1: (8,), 2: (6, 8), 3: (4, 6, 8)}


class Shades(nn.Module):
    """Sure of the class that most positions have as their whole number; takes images of any size."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([20 * (x[:, 0].flatten(1).round() == shade).float().mean(1) for shade in range(9)], 1)


def shades(classes: list[int], axes: int = 2) -> Tensor:
    """Images of a class each: everywhere its number."""
    return torch.ones(len(classes), 1, *AXES[axes]) * torch.tensor(classes).reshape(-1, 1, *[1] * axes)


def seeing(inputs: Tensor, targets: Any, model: Any) -> Tensor:
    """Mark exactly the class's pictures."""
    return torch.stack([(x[0] == target.category).float() for x, target in zip(inputs, targets, strict=True)])


def blind(inputs: Tensor, targets: Any, model: Any) -> Tensor:
    """Mark the same for every class."""
    return torch.rand(inputs.shape[2:], generator=torch.Generator().manual_seed(1)).expand(len(inputs), *[-1] * 2)


def measured(metric: Any, x: Tensor, explain: Callable[..., Tensor], targets: Any = None, **options: Any) -> Tensor:
    return metric(x, torch.zeros(len(x), *x.shape[2:]), targets, Shades(), explain=explain, **options)


def test_groups_of_different_classes() -> None:
    classes = [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 5]
    sure = [0.9, 0.99, 0.7, 0.8, 0.9, 1.0, 0.9, 0.9, 0.6, 0.3, 0.8, 0.7]
    groups = grid_groups(classes, sure, 4)
    assert len(groups) == 2  # 11 are sure enough
    used = list(itertools.chain(*groups))
    assert len(used) == len(set(used)) == 8
    assert 9 not in used
    assert all(len({classes[index] for index in group}) == 4 for group in groups)
    assert used.index(1) < 4  # of class 0 the surest comes first
    assert grid_groups(classes, sure, 4, most=1) == groups[:1]
    assert grid_groups(classes, sure, 4) == groups
    assert any(grid_groups(classes, sure, 4, seed=seed) != groups for seed in range(1, 4))
    assert grid_groups(classes, sure, 4, least=0.95) == []
    assert grid_groups([0] * 10, [1.0] * 10, 2) == []


def test_groups_with_half_of_one_class() -> None:
    classes = [0, 0, 0, 0, 1, 1, 2, 2, 3]
    for group in (groups := focus_groups(classes, [1.0] * 9, 4)):
        counts = sorted([classes[index] for index in group].count(name) for name in {classes[i] for i in group})
        assert counts == [1, 1, 2]
    assert len(groups) == 2
    assert len(set(itertools.chain(*groups))) == 8
    assert focus_groups([0, 1, 2, 3], [1.0] * 4, 4) == []
    assert len(focus_groups([0, 0, 0, 0, 1, 2, 3, 4, 5], [1.0] * 9, 9)[0]) == 9


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("side", [2, 3])
def test_cells_are_where_the_images_are(axes: int, side: int) -> None:
    images = torch.rand(side**axes, 2, *AXES[axes])
    mosaic = mosaic_of(images, side)
    assert mosaic.shape == (1, 2, *(side * length for length in AXES[axes]))
    shares = cell_shares(mosaic[:, 0] - 0.2, side)
    sums = (images[:, 0].double() - 0.2).clamp_min(0).flatten(1).sum(1)
    torch.testing.assert_close(shares[0], sums / sums.sum(), rtol=1e-6, atol=0)
    for index, place in enumerate(itertools.product(range(side), repeat=axes)):
        at = tuple(slice(p * length, (p + 1) * length) for p, length in zip(place, AXES[axes], strict=True))
        assert torch.equal(mosaic[(0, slice(None), *at)], images[index])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_map_of_the_right_picture_has_everything(axes: int) -> None:
    x = shades([0, 1, 2, 3, 4, 5, 6, 7], axes)
    assert measured(GridPG(), x, seeing).tolist() == [1] * 8
    wrong = lambda inputs, targets, model: 1 - seeing(inputs, targets, model)  # noqa: E731
    assert measured(GridPG(), x, wrong).tolist() == [0] * 8
    nothing = lambda inputs, targets, model: -seeing(inputs, targets, model)  # noqa: E731
    assert measured(GridPG(), x, nothing).isnan().all()


def test_what_ignores_the_class_has_chance_in_the_mean() -> None:
    x = shades([0, 1, 2, 3, 4, 5, 6, 7, 8])
    two, three = measured(GridPG(), x, blind), measured(GridPG(3), x, blind)
    assert two.isnan().sum() == 1  # 9 pictures, two mosaics of 4
    assert GridPG().aggregate(two) == pytest.approx(1 / 4, abs=1e-7)
    assert GridPG(3).aggregate(three) == pytest.approx(1 / 9, abs=1e-7)
    once, again, other = (measured(GridPG(), x, blind, seed=seed) for seed in (0, 0, 3))
    assert torch.equal(once.nan_to_num(), again.nan_to_num())
    assert not torch.equal(once.nan_to_num(), other.nan_to_num())


def test_focus() -> None:
    x = shades([0, 0, 1, 2, 3, 3, 4, 5])
    values = measured(Focus(), x, seeing)
    assert values[~values.isnan()].tolist() == [1, 1]  # two mosaics, one number each
    assert {0, 3} == {[0, 0, 1, 2, 3, 3, 4, 5][place] for place in values.isfinite().nonzero().flatten().tolist()}
    ones = lambda inputs, targets, model: torch.ones(len(inputs), *inputs.shape[2:])  # noqa: E731
    assert Focus().aggregate(measured(Focus(), x, ones)) == 0.5


def test_pictures_that_the_network_does_not_know_are_left_out() -> None:
    x = shades([0, 1, 2, 3, 4])
    right, one_wrong = [0, 1, 2, 3, 4], [0, 1, 2, 3, 5]
    assert measured(GridPG(), x, seeing, one_wrong).tolist()[:4] == [1] * 4
    assert measured(GridPG(), x, seeing, one_wrong).isnan().tolist() == [False] * 4 + [True]
    assert measured(GridPG(), x, seeing, right).isnan().sum() == 1
    with pytest.raises(ValueError, match="4 of different classes; of the 3 pictures of this case 3, of 3 classes"):
        measured(GridPG(), x[:3], seeing)
    with pytest.raises(ValueError, match="2 of one class and 2 of others"):
        measured(Focus(), x, seeing)
    with pytest.raises(ValueError, match="probability of 1 or more"):
        measured(GridPG(least=1.0), x, seeing)
    with pytest.raises(ValueError, match="2 or more"):
        measured(GridPG(1), x, seeing)
    with pytest.raises(ValueError, match="asks for classes"):
        measured(GridPG(), x, seeing, lambda output: output.sum())


def test_a_network_of_one_size_is_refused_in_words() -> None:
    net, x = build(FlatLinear), inputs(batch=12)
    classes = net(x).argmax(1).tolist()
    assert len(set(classes)) == 3
    signals = build(FlatLinear, 1)
    for model, images in ((net, x), (signals, inputs(1, batch=12))):
        case = Case(images, torch.zeros(12, *images.shape[2:]), None, model, explain=seeing)
        with pytest.raises(ValueError, match=r"does not take \(RuntimeError.*pools over all positions"):
            GridPG(least=0.0).of(_with_four_classes(case))


def _with_four_classes(case: Case) -> Case:
    """The case of a network that has a fourth class, which its last images are of."""
    model = case.model

    def four(images: Tensor) -> Tensor:
        outputs = model(images)  # type: ignore[misc]
        return torch.cat([outputs, outputs.new_full((len(images), 1), -100)], 1) + outputs.new_tensor(
            [[0.0, 0, 0, 200 * (place >= 8)] for place in range(len(images))]
        )

    return Case(case.inputs, case.maps, None, four, explain=case.explain)


def test_groups_made_first_give_the_same_as_one_case() -> None:
    """Of more pictures than memory holds: the groups first, then a case of each."""
    x, classes = shades([0, 1, 2, 3, 4, 5, 6, 7]), list(range(8))

    def tilted(inputs: Tensor, targets: Any, model: Any) -> Tensor:
        return seeing(inputs, targets, model) + 0.1 * (inputs[:, 0] == 3)

    together = measured(GridPG(), x, tilted, classes)
    apart = torch.full((8,), torch.nan)
    for group in grid_groups(classes, [1.0] * 8, 4):
        apart[list(group)] = measured(GridPG(), x[list(group)], tilted, [classes[index] for index in group])
    torch.testing.assert_close(apart, together)
    assert together.min() < 1


def test_the_built_in_network_finds_its_pictures() -> None:
    net = load_shapes()
    scenes = [render_scene(seed, [SHAPES[seed % 10]]) for seed in TEST_SEEDS[:8]]
    x = preprocess(np.stack([scene.image for scene in scenes]))
    maps = torch.zeros(8, 128, 128)

    def explain(inputs: Tensor, targets: Any, model: Any) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map of nothing is NaN here
            return GradCAM(model, "stage4").explain(inputs, targets).maps

    with assert_unchanged(net, x):
        found = METRICS["gridpg"](x, maps, None, net, explain=explain)
    assert METRICS["gridpg"].aggregate(found) > 0.5  # chance is 0.25
