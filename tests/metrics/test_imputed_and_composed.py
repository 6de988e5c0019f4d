"""ROAD, IROF, ADCC and ARCC as metrics of a case: definitions in float64 NumPy, published numbers, shared passes."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from helpers.softmax_scores import Softened, maps_for, probability
from helpers.tiny_nets import build, inputs
from torch import Tensor

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.metrics import METRICS, arcc, grid_solver, road
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.composed import adcc_of_means, arcc_of_means, harmonic_mean
from pytorch_grad_cam.metrics.grid_solver import fill_missing
from pytorch_grad_cam.metrics.imputation import RoadCombined, RoadLeRF, RoadMoRF
from pytorch_grad_cam.metrics.superpixels import IROF, grid_segments, slic_segments
from pytorch_grad_cam.targets.classification import ClassifierOutputSoftmaxTarget

pytestmark = pytest.mark.again

WEIGHTS = dict(road.neighbors_weights)


def explainer(inputs: Tensor, targets: Any, model: Any) -> Tensor:
    return GradCAM(model, "conv2").explain(inputs, targets).maps


def solved(image: Any, missing: Any) -> Any:
    """Solve the paper's equations of all missing pixels at once."""
    where = [tuple(place) for place in np.argwhere(missing)]
    rows = {place: row for row, place in enumerate(where)}
    matrix, right = np.zeros((len(where), len(where))), np.zeros((len(where), len(image)))
    for place, row in rows.items():
        for (down, along), weight in WEIGHTS.items():
            beside = (place[0] + down, place[1] + along)
            if not (0 <= beside[0] < missing.shape[0] and 0 <= beside[1] < missing.shape[1]):
                continue
            matrix[row, row] += weight
            if beside in rows:
                matrix[row, rows[beside]] -= weight
            else:
                right[row] += weight * image[:, beside[0], beside[1]]
    filled = image.copy()
    filled[:, missing] = np.linalg.solve(matrix, right).T
    return filled


# --- ROAD ------------------------------------------------------------------------------------------------------------


def test_road_by_definition() -> None:
    net, x = build(Softened), inputs(batch=3)
    maps, targets, percentiles = maps_for(x), [1, 0, 2], (10.0, 50.0, 90.0)
    noise = 0.01 * torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()
    found = {
        metric.name: metric(x, maps, targets, net)
        for metric in (RoadMoRF(percentiles), RoadLeRF(percentiles), RoadCombined(percentiles))
    }
    for row, category in enumerate(targets):
        image, map = x[row].double().numpy(), maps[row].double().numpy()
        means = {}
        for name, order in (("road_morf", map), ("road_lerf", -map)):
            scores = []
            for percentile in percentiles:
                missing = order >= np.percentile(order, percentile)
                filled = solved(image, missing)
                scores.append(probability(net, np.where(missing, filled + noise, filled), category))
            means[name] = np.mean(scores) - probability(net, image, category)
            assert float(found[name][row]) == pytest.approx(means[name], abs=2e-5), name
        combined = (means["road_lerf"] - means["road_morf"]) / 2
        assert float(found["road_combined"][row]) == pytest.approx(combined, abs=2e-5)


def test_road_is_that_of_the_drop_in_classes() -> None:
    """The one solves to 1e-9, the other until nothing is seen of it; a few values per map, so that there are ties."""
    net, x = build(Softened), inputs(batch=3)
    maps, targets = maps_for(x), [1, 0, 2]
    probabilities = [ClassifierOutputSoftmaxTarget(category) for category in targets]
    for name, older in (
        ("road_morf", road.ROADMostRelevantFirstAverage()),
        ("road_lerf", road.ROADLeastRelevantFirstAverage()),
        ("road_combined", road.ROADCombined()),
    ):
        expected = older(x, maps.numpy(), probabilities, net)
        np.testing.assert_allclose(METRICS[name](x, maps, targets, net).numpy(), expected, atol=2e-5)


def test_road_counts_ties_exactly_and_has_none_for_a_constant_map() -> None:
    net, x = build(Softened), inputs(batch=2)
    half = (maps_for(x) > 0.7).float()
    counted: list[int] = []

    def counting(batch: Tensor) -> Tensor:
        counted.extend((batch != x[:1]).any(1).flatten(1).sum(1).tolist())
        return net(batch)

    RoadMoRF((20.0, 60.0, 100.0, 0.0))(x[:1], half[:1], 1, counting)
    places = half[0].numel()
    assert counted[1:] == [places - int(np.ceil(share * (places - 1))) for share in (0.2, 0.6)] + [0, places]
    assert RoadMoRF()(x, torch.full_like(half, 0.5), 1, net).isnan().all()
    assert not torch.equal(RoadMoRF()(x, half, 1, net), RoadMoRF()(x, half, 1, net, seed=1))
    for wrong in ((), (101.0,), (-1.0,)):
        with pytest.raises(ValueError, match="from 0 to 100"):
            RoadMoRF(wrong)(x, half, 1, net)


def test_road_and_arcc_run_an_image_once() -> None:
    net, x = build(Softened), inputs(batch=3)
    targets = [1, 0, 2]
    case = Case(x, explainer(x, targets, net), targets, net, explain=explainer)
    METRICS["road_combined"].of(case)
    assert case.passes == 3 + 3 * 18
    for name in ("road_morf", "road_lerf", "mean_mass", "coherency", "arcc"):
        METRICS[name].of(case)
    assert case.passes == 3 + 3 * 18  # coherency runs the explainer, which the case does not count
    METRICS["average_drop"].of(case)
    METRICS["adcc"].of(case)
    assert case.passes == 3 + 3 * 19


@pytest.mark.parametrize("shape", [(40,), (21, 30), (9, 8, 7)])
def test_holes_of_several_images_are_filled_as_those_of_each(shape: tuple[int, ...]) -> None:
    """Also in single precision, and whatever lies in one chunk: what is near enough is asked of each image alone."""
    numbers = torch.Generator().manual_seed(0)
    values = torch.randn(5, 2, *shape, generator=numbers)
    values[1] = values[1] * 1e-3 + 100
    missing = torch.rand(5, *shape, generator=numbers) < torch.tensor([0.0, 0.3, 0.6, 0.95, 1.0]).reshape(
        -1, *[1] * len(shape)
    )
    weights = dict(road.neighbour_weights(len(shape)))
    together = fill_missing(values, missing, weights, 1e-4)
    exact = fill_missing(values.double(), missing, weights)
    for row in range(5):
        alone = fill_missing(values[row : row + 1], missing[row : row + 1], weights, 1e-4)[0]
        spread = values[row].max() - values[row].min()
        assert ((together[row] - alone).abs().max() <= 1e-6 * values[row].abs().max()).item()
        if row < 4:  # where nothing is known there is nothing to be near
            assert ((together[row] - exact[row]).abs().max() <= 1e-4 * spread + 1e-7 * values[row].abs().max()).item()
    assert torch.equal(together[0], values[0])
    assert not together[4].any()


def test_a_lower_precision_takes_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    plain = grid_solver._Cycle.__call__

    def counted(self: Any, right: Tensor, level: int = 0) -> Tensor:
        steps[-1] += level == 0
        return plain(self, right, level)

    monkeypatch.setattr(grid_solver._Cycle, "__call__", counted)
    y, x = np.mgrid[:128, :128] / 128
    image = torch.from_numpy(np.stack([np.sin(9 * x * y), np.cos(7 * x)]))[None]
    missing = torch.from_numpy((x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.12)[None]
    exact = None
    for tolerance in (1e-9, 1e-6, 4e-4):
        steps.append(0)
        found = fill_missing(image, missing, WEIGHTS, tolerance)
        exact = found if exact is None else exact
        assert (found - exact).abs().max() <= tolerance * 2
    assert all(more > less for more, less in pairwise(steps)), steps
    assert steps[-1] <= 8


# --- IROF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["slic", "grid"])
def test_irof_by_definition(kind: Any) -> None:
    net, x = build(Softened), inputs(batch=3)
    maps, targets = maps_for(x), [1, 0, 2]
    segments = {"slic": slic_segments, "grid": grid_segments}[kind](x, 12)
    found = IROF(kind, 12)(x, maps, targets, net)
    counts = set()
    for row, category in enumerate(targets):
        image, map, labels = x[row].double().numpy(), maps[row].double().numpy(), segments[row].numpy()
        numbers = sorted(set(labels.flatten().tolist()))
        assert numbers == list(range(len(numbers)))
        counts.add(len(numbers))
        ordered = sorted(numbers, key=lambda number: -map[labels == number].mean())
        score, lost = probability(net, image, category), []
        for k in range(1, len(numbers) + 1):
            gone = np.isin(labels, ordered[:k])
            changed = np.where(gone, image.mean((1, 2), keepdims=True), image)
            lost.append(1 - probability(net, changed, category) / score)
        assert float(found[row]) == pytest.approx(np.mean(lost), rel=1e-3, abs=1e-5)
    assert max(counts) > 5
    assert IROF(kind, 12)(x, torch.full_like(maps, 0.2), targets, net).isnan().all()


def test_irof_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = build(Softened), inputs(batch=2)
    with pytest.raises(ValueError, match="'slic' or 'grid'"):
        IROF("felzenszwalb")(x, maps_for(x), 1, net)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 or more"):
        IROF("grid", 0)(x, maps_for(x), 1, net)
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ImportError, match="pip install scikit-image"):
        METRICS["irof"](x, maps_for(x), 1, net)


# --- harmonic means --------------------------------------------------------------------------------------------------


def test_published_means_give_the_published_adcc() -> None:
    assert adcc_of_means(0.1873, 0.9751, 0.3884) == pytest.approx(0.7710, abs=5e-5)
    assert adcc_of_means(0.2613, 0.9383, 0.2027) == pytest.approx(0.8166, abs=5e-5)
    assert arcc_of_means(0.3, 0.9, 0.2) == pytest.approx(3 / (1 / 0.9 + 1 / 0.8 + 1 / 0.6))
    assert arcc_of_means(0.8, 0.9, 0.2) == pytest.approx(3 / (1 / 0.9 + 1 / 0.8 + 1))
    assert arcc_of_means(-0.1, 0.9, 0.2) == 0
    assert harmonic_mean(torch.tensor([0.5, 0.0, torch.nan]), torch.ones(3)).tolist()[:2] == [2 / 3, 0]


def test_adcc_by_definition() -> None:
    net, x = build(Softened), inputs(batch=3)
    targets = [1, 0, 2]
    maps = explainer(x, targets, net)
    case = Case(x, maps, targets, net, explain=explainer)
    found = {name: METRICS[name].of(case) for name in ("adcc", "coherency", "mean_mass", "average_drop")}
    for row, category in enumerate(targets):
        image, map = x[row : row + 1].double().numpy(), maps[row].double().numpy()
        unit = (map - map.min()) / np.ptp(map)
        masked = torch.from_numpy((image * unit).astype(np.float32))
        again = explainer(masked, [category], net)[0].double().numpy()
        coherency = (np.corrcoef(again.ravel(), map.ravel())[0, 1] + 1) / 2
        score = probability(net, image[0], category)
        drop = max(0, score - probability(net, masked[0], category)) / score
        assert float(found["coherency"][row]) == pytest.approx(coherency, abs=1e-5)
        expected = 3 / (1 / coherency + 1 / (1 - unit.mean()) + 1 / (1 - drop))
        assert float(found["adcc"][row]) == pytest.approx(expected, abs=1e-5)
    means = [float(found[name].mean()) for name in ("average_drop", "coherency", "mean_mass")]
    assert METRICS["adcc"].aggregate(found["adcc"]) <= adcc_of_means(*means) + 1e-6


def test_a_map_of_ones_has_no_adcc_and_a_blind_explainer_no_coherency() -> None:
    net, x = build(Softened), inputs(batch=2)
    ones, blind = torch.ones(2, 11, 14), lambda inputs, targets, model: torch.zeros(2, 11, 14)
    for name in ("adcc", "arcc", "coherency"):
        assert not METRICS[name](x, maps_for(x), 1, net, explain=blind).any(), name
    assert not METRICS["adcc"](x, ones, 1, net, explain=explainer).any()


def test_arcc_is_that_of_the_drop_in_class() -> None:
    net, x = build(Softened), inputs(batch=3)
    maps, targets = maps_for(x), [1, 0, 2]
    maps = (maps - maps.amin((1, 2), keepdim=True)) / (
        maps.amax((1, 2), keepdim=True) - maps.amin((1, 2), keepdim=True)
    )
    probabilities = [ClassifierOutputSoftmaxTarget(category) for category in targets]
    again = maps_for(x, 1)
    older = arcc.ARCC(lambda input_tensor, targets: again.numpy())(x, maps.numpy(), probabilities, net)
    newer = METRICS["arcc"](x, maps, targets, net, explain=lambda inputs, targets, model: again)
    np.testing.assert_allclose(newer.numpy(), older, atol=5e-4)  # 3 / sum of inverses: a small ROAD weighs much
    masses = [arcc.Complexity()(maps.numpy()), METRICS["mean_mass"](x, maps).numpy()]
    np.testing.assert_allclose(*masses, atol=1e-6)
