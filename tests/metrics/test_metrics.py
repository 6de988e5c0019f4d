"""Metrics against hand numbers, float64 NumPy and a model whose answers are known exactly."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_nets as nets
from helpers.again import again
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.metrics import arcc, cam_mult_image, perturbation_confidence, road
from pytorch_grad_cam.metrics.arcc import ARCC, Coherency, Complexity, batch_pearson_coherency
from pytorch_grad_cam.metrics.cam_mult_image import (
    CamMultImageConfidenceChange,
    DropInConfidence,
    IncreaseInConfidence,
    multiply_tensor_with_cam,
)
from pytorch_grad_cam.metrics.perturbation_confidence import (
    AveragerAcrossThresholds,
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.road import ROADCombined, ROADLeastRelevantFirst, ROADMostRelevantFirst
from pytorch_grad_cam.targets.classification import ClassifierOutputSoftmaxTarget, ClassifierOutputTarget


class Sums(nn.Module):
    """Class 0: the sum of the first channel; class 1: the sum of the second."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).sum(2)


FIRST = ClassifierOutputTarget(0)


def pictures(batch: int = 3, size: tuple[int, ...] = (7, 9), seed: int = 0) -> tuple[Tensor, NDArray[np.float32]]:
    numbers = np.random.default_rng(seed)
    images = numbers.normal(size=(batch, 2, *size)).astype(np.float32)
    return torch.from_numpy(images), numbers.random((batch, *size)).astype(np.float32)


# --- multiplied by the map ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(11,), (7, 9), (3, 4, 5)])
def test_change_drop_and_increase_are_those_of_the_definition(size: tuple[int, ...]) -> None:
    images, maps = pictures(size=size)
    x = images.double().numpy()[:, 0].reshape(3, -1)
    m = maps.astype(np.float64).reshape(3, -1)
    before, after = x.sum(1), (x * m).sum(1)
    given = (images, maps, [FIRST] * 3, Sums())
    np.testing.assert_allclose(CamMultImageConfidenceChange()(*given), after - before, atol=1e-5)
    np.testing.assert_allclose(DropInConfidence()(*given), np.maximum(before - after, 0), atol=1e-5)
    np.testing.assert_array_equal(IncreaseInConfidence()(*given), after > before)
    assert CamMultImageConfidenceChange()(*given).dtype == np.float32
    assert IncreaseInConfidence()(*given).dtype == np.float32
    score, changed = CamMultImageConfidenceChange()(*given, return_visualization=True, return_diff=False)
    np.testing.assert_allclose(score, after, atol=1e-5)
    torch.testing.assert_close(changed, images * torch.from_numpy(maps)[:, None])


def test_relative_drops_by_hand() -> None:
    images = torch.zeros(2, 2, 1, 2)
    images[0, 0] = torch.tensor([3.0, 1.0])  # 4 -> 3: a quarter is lost
    images[1, 0] = torch.tensor([4.0, -2.0])  # 2 -> 4: nothing is lost
    maps = np.float32([[[1, 0]], [[1, 0]]])
    given = (images, maps, [FIRST] * 2, Sums())
    assert DropInConfidence(relative=True)(*given).tolist() == [25.0, 0.0]
    assert DropInConfidence()(*given).tolist() == [1.0, 0.0]
    assert IncreaseInConfidence()(*given).tolist() == [0.0, 1.0]
    drop, changed = DropInConfidence()(*given, return_visualization=True)
    assert drop.tolist() == [1.0, 0.0]
    assert changed.shape == images.shape
    with pytest.raises(ValueError, match="needs positive scores, not -4; take probabilities"):
        DropInConfidence(relative=True)(-images, maps, [FIRST] * 2, Sums())


def test_a_map_of_ones_changes_nothing() -> None:
    images, maps = pictures()
    given = (images, np.ones_like(maps), [FIRST] * 3, Sums())
    for metric in (CamMultImageConfidenceChange(), DropInConfidence(), IncreaseInConfidence()):
        assert not metric(*given).any()  # no strict increase either


def test_scores_with_softmax_against_numpy() -> None:
    model, images = nets.build(nets.ConvNet), nets.inputs(batch=2)
    maps = np.random.default_rng(0).random((2, *images.shape[2:])).astype(np.float32)
    with torch.no_grad():
        outputs = [model(each).double().numpy() for each in (images, images * torch.from_numpy(maps)[:, None])]
    before, after = (np.exp(out[:, 1]) / np.exp(out).sum(1) for out in outputs)
    found = CamMultImageConfidenceChange()(images, maps, [ClassifierOutputSoftmaxTarget(1)] * 2, model)
    np.testing.assert_allclose(found, after - before, atol=1e-6)


def test_the_top_class_is_that_of_the_unchanged_picture() -> None:
    images = torch.zeros(1, 2, 1, 2)
    images[0, 1], images[0, 0] = torch.tensor([5.0, 0.0]), torch.tensor([0.0, 3.0])
    maps = np.float32([[[0, 1]]])  # takes class 1 away: then class 0 is the first
    second = ClassifierOutputTarget(1)
    for targets in (None, 1, [1], torch.tensor([1]), second, [second]):
        assert CamMultImageConfidenceChange()(images, maps, targets, Sums()).tolist() == [-5.0]
        assert CamMultImageConfidenceChange()(images, maps, targets, Sums(), return_diff=False).tolist() == [0.0]
        assert DropInConfidence(relative=True)(images, maps, targets, Sums()).tolist() == [100.0]
        assert ROADMostRelevantFirst(50)(images, 1 - maps, targets, Sums()).tolist() == pytest.approx([-5], abs=0.1)


def test_a_target_may_return_several_numbers() -> None:
    images, maps = pictures()
    found = CamMultImageConfidenceChange()(images, maps, [lambda output: output] * 3, Sums(), return_diff=False)
    torch.testing.assert_close(torch.from_numpy(found), Sums()(images * torch.from_numpy(maps)[:, None]))


def test_any_callable_is_a_model() -> None:
    images, maps = pictures()
    found = CamMultImageConfidenceChange()(images.requires_grad_(), maps, [FIRST] * 3, lambda x: Sums()(x))
    np.testing.assert_array_equal(found, CamMultImageConfidenceChange()(images, maps, [FIRST] * 3, Sums()))


# --- which pixels are removed ---------------------------------------------------------------------------------------


def kept_by(remove: Callable[..., RemoveMostRelevantFirst], percentile: Any, map: NDArray[Any]) -> NDArray[np.bool_]:
    masks = []
    remove(percentile, lambda image, mask: masks.append(mask) or image)(torch.zeros(1, *map.shape), torch.tensor(map))
    assert masks[0].dtype == torch.float32
    return masks[0].numpy() == 1


@pytest.mark.parametrize("shape", [(40,), (8, 11), (3, 4, 5)])
@pytest.mark.parametrize("percentile", [0, 7, 12.5, 20, 50, 75, 90])
def test_without_ties_the_percentile_decides(shape: tuple[int, ...], percentile: float) -> None:
    map = np.random.default_rng(1).permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    expected = map < np.percentile(map, percentile)
    np.testing.assert_array_equal(kept_by(RemoveMostRelevantFirst, percentile, map), expected)
    least = -map < np.percentile(-map, percentile)
    np.testing.assert_array_equal(kept_by(RemoveLeastRelevantFirst, percentile, map), least)


def test_ties_do_not_change_the_number() -> None:
    """As after a ReLU: 60 % zeros. Whatever share is asked for, that share goes."""
    map = np.zeros((10, 10), np.float32)
    map[:4] = np.random.default_rng(0).random((4, 10)) + 0.1
    for percentile in (10, 20, 30, 60, 90, 100):
        for remove in (RemoveMostRelevantFirst, RemoveLeastRelevantFirst):
            assert kept_by(remove, percentile, map).sum() == percentile
    kept = kept_by(RemoveLeastRelevantFirst, 80, map)
    assert kept[:4].all()  # the 20 that go are zeros
    most = kept_by(RemoveMostRelevantFirst, 80, map)
    assert most[4:].all()
    assert (map[:4][~most[:4]].min() > map[:4][most[:4]]).all()
    # Taken at random: not the first ones in reading order, and the same ones every time.
    zeros = kept[4:].ravel()
    assert 0 < (~zeros[:30]).sum() < 20
    np.testing.assert_array_equal(kept, kept_by(RemoveLeastRelevantFirst, 80, map))


def test_another_seed_takes_others_among_equals() -> None:
    map = torch.zeros(100)
    map[0] = 1
    taken = [
        RemoveMostRelevantFirst(50, lambda image, mask: mask, seed=seed)(torch.zeros(1, 100), map) for seed in (0, 1)
    ]
    assert taken[0].sum() == taken[1].sum()
    assert not torch.equal(taken[0], taken[1])


@pytest.mark.parametrize("percentile", ["auto", 75])
def test_every_branch_removes_the_right_part(percentile: Any) -> None:
    map = np.random.default_rng(0).random((12, 10)).astype(np.float32) * 0.1
    map[:3] += 0.8  # a hot quarter
    hot = np.zeros((12, 10), bool)
    hot[:3] = True
    np.testing.assert_array_equal(kept_by(RemoveMostRelevantFirst, percentile, map), ~hot)
    rest = percentile if percentile == "auto" else 25
    np.testing.assert_array_equal(kept_by(RemoveLeastRelevantFirst, rest, map), hot)


def test_a_constant_map_is_reported() -> None:
    for percentile, count in ((30, 30), ("auto", 100)):
        with pytest.warns(UserWarning, match="a map is constant: which pixels are removed is random"):
            assert kept_by(RemoveMostRelevantFirst, percentile, np.zeros((10, 10), np.float32)).sum() == count


def test_the_average_over_percentiles() -> None:
    """Pixels of 1, and holes of 0: the score is the number of pixels that stay."""
    images, maps = torch.ones(2, 2, 10, 10), np.stack([pictures(1, (10, 10), seed)[1][0] for seed in (0, 1)])

    def metric(percentile: float) -> PerturbationConfidenceMetric:
        return PerturbationConfidenceMetric(RemoveMostRelevantFirst(percentile, multiply_tensor_with_cam))

    calls = []
    model = Sums()
    model.register_forward_hook(lambda *_: calls.append(1))
    found = AveragerAcrossThresholds(metric)(images, maps, [FIRST] * 2, model)
    assert found.tolist() == [-50.0, -50.0]
    assert len(calls) == 9 + 1  # the unchanged pictures are asked once
    assert AveragerAcrossThresholds(metric, [10, 40])(images, maps, None, model).tolist() == [-75.0, -75.0]
    # A metric that is not the plain difference, and any other callable.
    drops = AveragerAcrossThresholds(lambda percentile: DropInConfidence(), [1, 2])(images, maps, [FIRST] * 2, model)
    np.testing.assert_allclose(drops, 100 - maps.reshape(2, -1).sum(1), rtol=1e-5)
    mean = AveragerAcrossThresholds(lambda p: lambda *given: np.float32([p, 2 * p]), [1, 2, 6])(
        images, maps, [FIRST] * 2, model
    )
    assert mean.tolist() == [3.0, 6.0]


# --- coherency, complexity, ARCC ------------------------------------------------------------------------------------


def test_pearson_is_that_of_numpy() -> None:
    one, two = (np.random.default_rng(seed).random((3, 5, 6)) for seed in (0, 1))
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(batch_pearson_coherency(one, two), expected, rtol=1e-6)
    assert batch_pearson_coherency(one, 3 - 2 * one).tolist() == [-1.0] * 3
    one[1] = 0.3
    assert np.isnan(batch_pearson_coherency(one, two)).tolist() == [False, True, False]


def test_complexity_is_the_share_of_what_is_marked() -> None:
    maps = np.zeros((3, 2, 5), np.float32)
    maps[1], maps[2, 0, :3] = 1, (1, 0.5, 0.25)
    np.testing.assert_allclose(Complexity()(maps), [0, 1, 0.175])
    assert maps.max() == 1


def test_coherency_and_arcc_by_hand() -> None:
    """The method is known: the first channel, stretched; its maps of image and masked image follow on paper."""
    images = torch.zeros(2, 2, 1, 4)
    images[:, 0] = torch.tensor([[4.0, 2.0, 0.0, 1.0]])
    maps = np.float32([[[1, 0.5, 0, 0.25]]] * 2)
    maps[1] = np.float32([[1, 1, 0, 0]])

    def method(input_tensor: Tensor, targets: Any) -> NDArray[np.float32]:
        assert all(map(callable, targets))
        found: NDArray[np.float32] = input_tensor[:, 0].numpy() / 4
        return found

    masked = [[1, 0.25, 0, 0.0625], [1, 0.5, 0, 0]]
    rho = [np.corrcoef(masked[i], maps[i, 0])[0, 1] for i in (0, 1)]
    found = Coherency()(images, maps, [FIRST] * 2, Sums(), method)
    np.testing.assert_allclose(found, [(each + 1) / 2 for each in rho], rtol=1e-6)
    metric = ARCC(method, road_percentiles=[25, 50])
    metric.road = lambda *given: np.float32([0.3, 0.75])  # type: ignore[assignment]
    expected = [
        3 / (1 / coherent + 1 / (1 - simple) + 1 / road)
        for coherent, simple, road in zip(found, (0.4375, 0.5), (0.6, 1.0), strict=True)
    ]
    np.testing.assert_allclose(metric(images, maps, None, Sums()), expected, rtol=1e-6)
    metric.road = lambda *given: np.float32([-0.1, 0.5])  # type: ignore[assignment]
    assert metric(images, maps, None, Sums())[0] == 0
    blank = Coherency()(images, np.zeros_like(maps), None, Sums(), method)
    assert blank.tolist() == [0.0, 0.0]  # no correlation can be seen


def test_arcc_of_a_cam_is_between_0_and_1() -> None:
    model, images = nets.build(nets.ConvNet), nets.inputs(batch=2)
    with GradCAM(model, [model.conv2]) as cam:
        maps = cam(images)
        found = ARCC(base_method=cam)(images, maps, [ClassifierOutputSoftmaxTarget(0)] * 2, model)
    assert found.shape == (2,)
    assert ((found >= 0) & (found <= 1)).all()


# --- laws -----------------------------------------------------------------------------------------------------------

METRICS: dict[str, Callable[[], Callable[..., Any]]] = {
    "change": CamMultImageConfidenceChange,
    "drop": DropInConfidence,
    "increase": IncreaseInConfidence,
    "morf": lambda: ROADMostRelevantFirst(percentile=60),
    "lerf": lambda: ROADLeastRelevantFirst(percentile=40),
    "auto": lambda: ROADMostRelevantFirst("auto"),
    "combined": lambda: ROADCombined(percentiles=[20, 70]),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("ndim", [2, *again(1, 3)])
def test_a_picture_is_judged_alone_and_nothing_is_touched(name: str, ndim: int) -> None:
    model, images = nets.build(nets.ConvNet, ndim), nets.inputs(ndim, batch=3)
    maps = np.random.default_rng(0).random((3, *images.shape[2:])).astype(np.float32)
    targets = [ClassifierOutputSoftmaxTarget(index) for index in range(3)]
    model.train()
    model.conv1.eval()
    flags = [module.training for module in model.modules()]
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    kept_images, kept_maps = images.clone(), maps.copy()
    metric = METRICS[name]()
    found = metric(images.requires_grad_(), maps, targets, model)
    assert found.shape == (3,)
    np.testing.assert_array_equal(found, metric(images, maps, targets, model))
    alone = [metric(images[i : i + 1], maps[i : i + 1], targets[i : i + 1], model)[0] for i in (2, 0, 1)]
    np.testing.assert_allclose(found[[2, 0, 1]], alone, atol=1e-6)
    np.testing.assert_allclose(metric(images, torch.from_numpy(maps), targets, model), found)
    assert [module.training for module in model.modules()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # type: ignore[index]
    assert torch.equal(kept_images, images)
    assert np.array_equal(kept_maps, maps)


def test_no_hook_of_a_cam_fires() -> None:
    model, images = nets.build(nets.ConvNet), nets.inputs(batch=1)
    with GradCAM(model, [model.conv2]) as cam:
        maps = cam(images)
        outputs = cam.outputs
        assert not any(module._forward_hooks for module in model.modules())
        ROADCombined([50])(images, maps, None, model)
        assert cam.outputs is outputs


def test_a_perturbation_that_writes_in_place_harms_nobody() -> None:
    images, maps = pictures()
    kept = images.clone(), maps.copy()
    PerturbationConfidenceMetric(lambda image, map: image.mul_(map.mul_(0)))(images, maps, None, Sums())
    assert torch.equal(kept[0], images)
    assert np.array_equal(kept[1], maps)


def test_half_precision_networks_are_measured() -> None:
    model, images = nets.build(nets.ConvNet).bfloat16(), nets.inputs(batch=1)
    maps = np.random.default_rng(0).random((1, *images.shape[2:]))
    score, changed = ROADMostRelevantFirst()(images, maps, None, model, return_visualization=True)
    assert score.dtype == np.float32
    assert changed.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images, maps: (images, maps[:2], None), r"\(2, 7, 9\); for an input \(3, 2, 7, 9\) they must be"),
        (lambda images, maps: (images, maps[:, :5], None), "one per image, of its size"),
        (lambda images, maps: (images, np.where(maps > 0.5, np.nan, maps), None), r"images \[0, 1, 2\] contain NaN"),
        (lambda images, maps: (images / 0, maps, None), "the input contains NaN or infinity"),
        (lambda images, maps: (images, maps, [FIRST] * 2), "2 targets for a batch of 3 images"),
    ],
)
def test_what_cannot_be_measured(change: Callable[..., tuple[Any, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CamMultImageConfidenceChange()(*change(*pictures()), Sums())


def test_what_cannot_be_asked_for() -> None:
    for percentile in (-1, 101, "half", None):
        with pytest.raises(ValueError, match="percentile must be a number from 0 to 100, or 'auto'"):
            RemoveMostRelevantFirst(percentile, multiply_tensor_with_cam)  # type: ignore[arg-type]
    images, maps = pictures()
    for metric in (DropInConfidence(), IncreaseInConfidence()):
        with pytest.raises(ValueError, match="this metric compares two"):
            metric(images, maps, None, Sums(), return_diff=False)


def test_signatures_of_the_contract() -> None:
    deciles = list(range(10, 100, 10))
    expected: dict[Any, dict[str, Any]] = {
        perturbation_confidence.PerturbationConfidenceMetric.__call__: {
            "return_visualization": False,
            "return_diff": True,
        },
        perturbation_confidence.AveragerAcrossThresholds: {"percentiles": deciles},
        road.NoisyLinearImputer: {"noise": 0.01, "weighting": road.neighbors_weights},
        road.ROADMostRelevantFirst: {"percentile": 80},
        road.ROADLeastRelevantFirst: {"percentile": 20},
        road.ROADMostRelevantFirstAverage: {"percentiles": deciles},
        road.ROADLeastRelevantFirstAverage: {"percentiles": deciles},
        road.ROADCombined: {"percentiles": deciles},
        arcc.ARCC: {"road_percentiles": [20, 40, 60, 80]},
        cam_mult_image.CamMultImageConfidenceChange: {},
    }
    for function, defaults in expected.items():
        parameters = inspect.signature(function).parameters
        ours = {name: each.default for name, each in parameters.items() if each.kind is not each.KEYWORD_ONLY}
        assert {name: default for name, default in ours.items() if default is not inspect.Parameter.empty} == defaults
    call = list(inspect.signature(PerturbationConfidenceMetric.__call__).parameters)
    assert call[:5] == ["self", "input_tensor", "cams", "targets", "model"]
    assert list(inspect.signature(Coherency.__call__).parameters)[5] == "base_method"
