"""What holds for every metric of maps, and the definitions of those of the model in float64 NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from helpers.softmax_scores import Softened, maps_for, probability
from helpers.tiny_nets import ConvNet, build, inputs
from helpers.unchanged_model import assert_unchanged
from torch import Tensor

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.metrics import METRICS
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlate import average_ranks, pearson, spearman
from pytorch_grad_cam.metrics.correlation import Infidelity, ScaleFreeInfidelity, drawn_squares
from pytorch_grad_cam.metrics.curves import AOPC, Deletion, Insertion
from pytorch_grad_cam.metrics.metric import DataSetMetric
from pytorch_grad_cam.metrics.randomisation import randomised_networks
from pytorch_grad_cam.metrics.references import REFERENCES
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget

pytestmark = pytest.mark.again

FAITHFULNESS = [metric for metric in METRICS.values() if metric.needs == ("model",)]


def lighter(metric: Any) -> Any:
    """The same metric with fewer sets of positions, since each is a forward pass."""
    return dataclasses.replace(metric, subsets=20) if hasattr(metric, "subsets") else metric


def images(batch: int = 3) -> Tensor:
    return inputs(batch=batch)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_metric_says_what_it_is(metric: Any) -> None:
    assert METRICS[metric.name] is metric
    assert metric.higher_is_better in (True, False, None)
    low, high = metric.range
    assert low < high
    assert set(metric.needs) <= {"model", "masks", "boxes", "explain", "labels"}
    assert metric.source
    assert metric.__doc__
    if not isinstance(metric, DataSetMetric):
        assert metric.aggregate(torch.tensor([1.0, torch.nan, 3.0])) == pytest.approx(2.0)


@pytest.mark.parametrize("metric", FAITHFULNESS, ids=lambda metric: metric.name)
def test_a_batch_is_its_images(metric: Any) -> None:
    """The size of the batch, of the passes, and the order change nothing; the network is as it was."""
    metric = lighter(metric)
    net, x = build(Softened), images()
    maps, targets = maps_for(x), [1, 0, 2]
    with assert_unchanged(net, x):
        together = metric(x, maps, targets, net)
    assert together.shape == (3,)
    assert together.dtype == torch.float32
    assert together.isfinite().all()
    low, high = metric.range
    assert ((together >= low) & (together <= high)).all()
    alone = torch.cat([metric(x[i : i + 1], maps[i : i + 1], [targets[i]], net) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    turned = metric(x.flip(0), maps.flip(0).numpy(), targets[::-1], net, batch_size=2).flip(0)
    torch.testing.assert_close(together, turned, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("metric", FAITHFULNESS, ids=lambda metric: metric.name)
def test_what_cannot_be_judged_is_nan(metric: Any) -> None:
    metric = lighter(metric)
    net, x = build(Softened), images()
    maps = maps_for(x)
    maps[0, 2, 3] = torch.nan
    maps[1] = 0
    found = metric(x, maps, 1, net)
    assert found.isnan().tolist() == [True, True, False]
    torch.testing.assert_close(found[2], metric(x, maps_for(x), 1, net)[2], rtol=1e-4, atol=1e-6)


def test_masking_metrics_by_definition() -> None:
    net, x = build(Softened), images()
    maps, targets = maps_for(x), [1, 0, 2]
    for row, category in enumerate(targets):
        image, map = x[row].double().numpy(), maps[row].double().numpy()
        unit = (map - map.min()) / (map.max() - map.min())
        score = probability(net, image, category)
        kept, deleted = (probability(net, image * mask, category) for mask in (unit, 1 - unit))
        expected = {
            "average_drop": max(0, score - kept) / score,
            "average_increase": float(kept > score),
            "average_gain": max(0, kept - score) / (1 - score),
            "average_drop_in_deletion": max(0, score - deleted) / score,
            "confidence_change": kept - score,
        }
        for name, value in expected.items():
            found = METRICS[name](x, maps, targets, net)[row]
            assert float(found) == pytest.approx(value, rel=1e-3, abs=1e-6), name


def test_a_map_of_ones_loses_nothing() -> None:
    net, x = build(Softened), images()
    ones = torch.ones(3, 11, 14)
    for name in ("average_drop", "average_increase", "average_gain"):
        torch.testing.assert_close(METRICS[name](x, ones, 1, net), torch.zeros(3))
    found = METRICS["average_drop_in_deletion"](x, ones, 1, net)
    blank = [probability(net, torch.zeros_like(image), 1) for image in x]
    before = [probability(net, image, 1) for image in x]
    expected = [max(0, (one - other) / one) for one, other in zip(before, blank, strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-6)


def curve_by_hand(
    net: Any, image: Any, map: Any, category: int, steps: int, fill: Any, order: str, insert: bool
) -> Any:
    places = map.size
    ranked = np.argsort(-map if order == "most" else map, axis=None)
    scores = []
    for k in range(steps + 1):
        count = int(np.round(k * places / steps))
        changed = np.zeros(places, bool)
        changed[ranked[:count]] = True
        changed = changed.reshape(map.shape)
        start, end = (fill, image) if insert else (image, fill)
        scores.append(probability(net, np.where(changed, end, start), category))
    return np.array(scores)


@pytest.mark.parametrize("steps", [7, 28, 154])
def test_curves_by_definition(steps: int) -> None:
    net, x = build(Softened), images()
    maps, category = maps_for(x), 1
    line = np.exp(-((np.arange(11) - 5) ** 2) / 50)
    for row in range(2):
        image, map = x[row].double().numpy(), maps[row].double().numpy()
        blurred = image
        for axis in (1, 2):
            blurred = np.apply_along_axis(np.convolve, axis, blurred, line / line.sum(), "same")
        blank, mean = np.zeros_like(image), np.broadcast_to(image.mean((1, 2), keepdims=True), image.shape)
        by_hand = {
            "insertion": (Insertion(steps), blurred, "most", True),
            "deletion": (Deletion(steps), blank, "most", False),
            "pixel_flipping_lerf": (METRICS["pixel_flipping_lerf"].__class__(steps), mean, "least", False),  # type: ignore[call-arg]
        }
        for metric, fill, order, insert in by_hand.values():
            scores = curve_by_hand(net, image, map, category, steps, fill, order, insert)
            found = metric(x[row : row + 1], maps[row : row + 1], category, net)
            assert float(found) == pytest.approx(np.trapezoid(scores, dx=1 / steps), rel=1e-4), metric.name
        scores = curve_by_hand(net, image, map, category, steps, mean, "most", False)
        found = AOPC(steps)(x[row : row + 1], maps[row : row + 1], category, net)
        assert float(found) == pytest.approx(scores[0] - scores.mean(), rel=1e-3, abs=1e-6)


def test_composed_curves() -> None:
    net, x = build(Softened), images()
    maps = maps_for(x)
    values = {name: METRICS[name](x, maps, 1, net) for name in METRICS if METRICS[name].needs == ("model",)}
    torch.testing.assert_close(values["insertion_minus_deletion"], values["insertion"] - values["deletion"])
    gain = values["pixel_flipping_lerf"] - values["pixel_flipping_morf"]
    torch.testing.assert_close(values["symmetric_relevance_gain"], gain)
    turned = METRICS["pixel_flipping_lerf"](x, -maps + 1, 1, net)  # MoRF of a map is LeRF of its negative
    torch.testing.assert_close(turned, values["pixel_flipping_morf"])


def test_only_the_order_matters_and_plateaus_are_counted_exactly() -> None:
    net, x = build(Softened), images()
    maps = maps_for(x)
    torch.testing.assert_close(METRICS["deletion"](x, maps, 1, net), METRICS["deletion"](x, maps**3 * 7 + 1, 1, net))
    assert METRICS["deletion"](x, torch.full_like(maps, 0.5), 1, net).isnan().all()
    half = (maps > 0.5).float()
    once, again = (METRICS["deletion"](x, half, 1, net, seed=3) for _ in range(2))
    torch.testing.assert_close(once, again)
    assert not torch.equal(once, METRICS["deletion"](x, half, 1, net, seed=4))
    ranks = Case(x, half, 1, net).ranks
    assert all(sorted(each.flatten().tolist()) == list(range(154)) for each in ranks)
    assert (ranks[half == 1].float().mean() < ranks[half == 0].float().mean()).item()


def test_a_constant_score_has_a_constant_curve() -> None:
    x = images()
    constant = lambda batch: batch.new_full((len(batch), 2), 0.0)  # noqa: E731
    for name in ("insertion", "deletion"):
        torch.testing.assert_close(METRICS[name](x, maps_for(x), 1, constant), torch.full((3,), 0.5))


def test_passes_are_shared() -> None:
    """A case runs every changed image once, whichever metrics ask for it."""
    net, x = build(Softened), images()
    case = Case(x, maps_for(x), [1, 0, 2], net)
    for name in ("average_drop", "average_increase", "average_gain", "confidence_change"):
        METRICS[name].of(case)
    assert case.passes == 2 * 3  # the images, and the images times their maps
    METRICS["insertion_minus_deletion"].of(case)
    between = case.passes
    assert between == 2 * 3 + 2 * 29 * 3
    METRICS["insertion"].of(case)
    METRICS["deletion"].of(case)
    assert case.passes == between
    other = case.with_maps(maps_for(x, 1))
    METRICS["average_drop"].of(other)
    assert other.passes == 3  # the images are known


def test_references() -> None:
    x = images()
    found = {name: make(x) for name, make in REFERENCES.items()}
    assert all(maps.shape == (3, 11, 14) for maps in found.values())
    assert (found["uniform"] == 1).all()
    assert found["centre"][0].argmax() in (5 * 14 + 6, 5 * 14 + 7)
    torch.testing.assert_close(found["random"], REFERENCES["random"](x))
    assert not torch.equal(found["random"], REFERENCES["random"](x, 1))
    gray = x[0].double().mean(0).numpy()
    padded = np.pad(gray, 1, mode="edge")
    sides, columns = padded[:, 2:] - padded[:, :-2], padded[2:] - padded[:-2]
    across = sides[:-2] + 2 * sides[1:-1] + sides[2:]
    down = columns[:, :-2] + 2 * columns[:, 1:-1] + columns[:, 2:]
    np.testing.assert_allclose(found["edges"][0].numpy(), np.hypot(across, down), rtol=1e-4, atol=1e-5)


def test_arguments_that_do_not_go_together() -> None:
    net, x = build(Softened), images()
    with pytest.raises(ValueError, match="one per image, of its size"):
        METRICS["insertion"](x, torch.rand(3, 5, 5), 1, net)
    with pytest.raises(ValueError, match="runs the model"):
        METRICS["average_drop"](x, maps_for(x), 1)
    with pytest.raises(ValueError, match="1 or more"):
        Insertion(0)(x, maps_for(x), 1, net)
    with pytest.raises(ValueError, match="'blur'"):
        Insertion(3, "black")(x, maps_for(x), 1, net)
    with pytest.raises(ValueError, match="scores in"):
        METRICS["average_gain"](x, maps_for(x), [lambda output: output[0] * 0 + 3] * 3, net)
    with pytest.raises(ValueError, match="boxes"):
        Case(x, maps_for(x), boxes=[[], []])
    with pytest.raises(ValueError, match="boxes of image 1"):
        Case(x, maps_for(x), boxes=[[], [[3, 3, 2, 5]], []])


def explainer(inputs: Tensor, targets: Any, model: Any) -> Tensor:
    """Explain by GradCAM, whose layer is found by its name."""
    return GradCAM(model, "conv2").explain(inputs, targets).maps


def test_metrics_of_the_map_by_definition() -> None:
    x, count = images(), 154
    maps = maps_for(x)
    for row, map in enumerate(maps.double().numpy().reshape(3, -1)):
        shares, ordered = map / map.sum(), np.sort(map)
        unit = (map - map.min()) / np.ptp(map)
        expected = {
            "mean_mass": unit.mean(),
            "entropy": -(shares * np.log(shares)).sum(),
            "gini": sum(abs(one - other) for one in map for other in map) / (2 * count**2 * map.mean()),
            "effective_complexity": (ordered > 0.01 * ordered[-1]).sum(),
        }
        for name, value in expected.items():
            assert float(METRICS[name](x, maps)[row]) == pytest.approx(value, rel=1e-5), name
    single, ones = torch.zeros(3, 11, 14), torch.ones(3, 11, 14)
    single[:, 4, 5] = 7
    for name, of_one, of_all in (
        ("mean_mass", 1 / count, 1),
        ("entropy", 0, np.log(count)),
        ("gini", (count - 1) / count, 0),
        ("effective_complexity", 1, count),
    ):
        assert METRICS[name](x, single).tolist() == pytest.approx([of_one] * 3, abs=1e-6)
        assert METRICS[name](x, ones).tolist() == pytest.approx([of_all] * 3, abs=1e-6)
        torch.testing.assert_close(METRICS[name](x, maps * 9), METRICS[name](x, maps))


def test_ranks_and_correlations() -> None:
    rows = torch.tensor([[3.0, 1, 3, 0, 3, 1], [5, 4, 3, 2, 1, 0]])
    assert average_ranks(rows).tolist() == [[4, 1.5, 4, 0, 4, 1.5], [5, 4, 3, 2, 1, 0]]
    other = torch.tensor([[1.0, 2, 2, 5, 0, 1], [10, 20, 15, 30, 40, 50]])
    for row in range(2):
        expected = np.corrcoef(rows[row], other[row])[0, 1]
        assert float(pearson(rows, other)[row]) == pytest.approx(expected)
        expected = np.corrcoef(average_ranks(rows)[row], average_ranks(other)[row])[0, 1]
        assert float(spearman(rows, other)[row]) == pytest.approx(expected)
    assert pearson(rows, torch.ones(2, 6)).isnan().all()


class Linear(torch.nn.Module):
    """A score that is a sum over positions: what a perfect attribution says of them is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(2, 2, 11, 14, generator=torch.Generator().manual_seed(5)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bchw,kchw->bk", x, self.weight)


def test_a_perfect_attribution_of_a_linear_network() -> None:
    """Its sums are the drops: correlation 1, infidelity of a noise that no channel mixes 0; its negative is as bad."""
    net, x = Linear(), images()
    logits = [ClassifierOutputTarget(1)] * 3
    perfect = (x * net.weight[1]).sum(1).detach()
    for name in ("faithfulness_correlation", "mu_fidelity", "sensitivity_n"):
        torch.testing.assert_close(METRICS[name](x, perfect, logits, net), torch.ones(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(METRICS[name](x, -perfect, logits, net), -torch.ones(3), atol=1e-4, rtol=0)
        assert (METRICS[name](x, maps_for(x), logits, net).abs() < 0.6).all()
    with torch.no_grad():
        net.weight[1, 1] = net.weight[1, 0]  # the same gradient in both channels, as a map can say it
    gradient = net.weight[1, 0].detach().expand(3, -1, -1)
    contributions = gradient * x.sum(1)
    for change, exact in (("noise", gradient), ("square", contributions)):
        plain, scaled = Infidelity(change=change), ScaleFreeInfidelity(change=change)  # type: ignore[arg-type]
        torch.testing.assert_close(plain(x, exact, logits, net), torch.zeros(3), atol=1e-6, rtol=0)
        torch.testing.assert_close(scaled(x, exact * 50, logits, net), torch.zeros(3), atol=1e-6, rtol=0)
        assert (plain(x, exact * 50, logits, net) > 1).all()


def test_infidelity_by_definition() -> None:
    net, x = build(Softened), images()
    maps, samples = maps_for(x), 7
    noise = torch.randn(samples, *x.shape[1:], generator=torch.Generator().manual_seed(0)).double().numpy()
    for row in range(3):
        image, map = x[row].double().numpy(), maps[row].double().numpy()
        changes = 0.1 * np.ptp(image) * noise
        drops = np.array([probability(net, image, 1) - probability(net, image - change, 1) for change in changes])
        along = np.array([(change * map).sum() for change in changes])
        best = (along * drops).mean() / (along**2).mean()
        for metric, factor in ((Infidelity(samples, "noise"), 1), (ScaleFreeInfidelity(samples, "noise"), best)):
            found = metric(x, maps, 1, net)[row]
            assert float(found) == pytest.approx(((factor * along - drops) ** 2).mean(), rel=1e-3)


def test_infidelity_of_squares_by_definition() -> None:
    net, x = build(Softened), images()
    maps, samples = maps_for(x), 9
    hidden = drawn_squares((11, 14), (0.2, 0.5), samples, 0).numpy()
    for row in range(3):
        image, map = x[row].double().numpy(), maps[row].double().numpy()
        before = probability(net, image, 1)
        drops = np.array([before - probability(net, np.where(square, 0, image), 1) for square in hidden])
        along = np.array([map[square].sum() for square in hidden])
        best = (along * drops).mean() / (along**2).mean()
        for metric, factor in ((Infidelity, 1), (ScaleFreeInfidelity, best)):
            found = metric(samples, sides=(0.2, 0.5))(x, maps, 1, net)[row]
            assert float(found) == pytest.approx(((factor * along - drops) ** 2).mean(), rel=1e-3)
    with pytest.raises(ValueError, match="choose 'square' or 'noise'"):
        Infidelity(change="circle")(x, maps, 1, net)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(40,), (20, 32), (10, 12, 14)])
def test_drawn_squares(size: tuple[int, ...]) -> None:
    """Each is one block with sides of the asked share, inside, and every position is in some."""
    found = drawn_squares(size, (0.25, 0.5), 9000, 1)
    assert torch.equal(found, drawn_squares(size, (0.25, 0.5), 9000, 1))
    for block in found[:100]:
        places = block.nonzero()
        sides = places.amax(0) - places.amin(0) + 1
        assert int(sides.prod()) == len(places)
        shares = sides / torch.tensor(size)
        assert bool((shares > 0.25 - 0.06).all())
        assert bool((shares < 0.5 + 0.06).all())
    assert found.any(0).all()
    with pytest.raises(ValueError, match="smaller one first"):
        drawn_squares(size, (0.5, 0.25), 3, 0)


def test_metrics_that_explain_again() -> None:
    net, x = build(Softened), images()
    targets = [1, 0, 2]
    maps = explainer(x, targets, net)
    names = [metric.name for metric in METRICS.values() if "explain" in metric.needs and not metric.joint]
    assert len(names) >= 7
    for name in names:
        with assert_unchanged(net, x):
            together = METRICS[name](x, maps, targets, net, explain=explainer)
        alone = [METRICS[name](x[i : i + 1], maps[i : i + 1], targets[i], net, explain=explainer) for i in range(3)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-3, atol=1e-5)
        with pytest.raises(ValueError, match="explain"):
            METRICS[name](x, maps, targets, net)

    def ignores_all(inputs: Tensor, targets: Any, model: Any) -> Tensor:
        return maps_for(inputs)

    fixed = {name: METRICS[name](x, maps_for(x), targets, net, explain=ignores_all) for name in names}
    for name in ("max_sensitivity", "average_sensitivity", "local_lipschitz", "efficient_parameter_randomisation"):
        torch.testing.assert_close(fixed[name], torch.zeros(3))
    for name in ("parameter_randomisation", "smooth_parameter_randomisation", "random_logit"):
        torch.testing.assert_close(fixed[name], torch.ones(3))


def test_sensitivity_by_definition() -> None:
    x, radius = images(), 0.02
    generator = torch.Generator().manual_seed(0)
    noise = [2 * torch.rand(x.shape[1:], generator=generator).numpy() - 1 for _ in range(10)]
    gray = lambda inputs, targets, model: inputs.abs().sum(1)  # noqa: E731
    names = ("max_sensitivity", "average_sensitivity", "local_lipschitz")
    found = {name: METRICS[name](x, gray(x, 1, None), lambda output: output, explain=gray) for name in names}
    for row, image in enumerate(x.numpy()):
        change = [radius * np.ptp(image) * each for each in noise]
        map = np.abs(image).sum(0)
        moved = [np.linalg.norm(np.abs(image + each).sum(0) - map) for each in change]
        assert float(found["max_sensitivity"][row]) == pytest.approx(max(moved) / np.linalg.norm(map), rel=1e-4)
        assert float(found["average_sensitivity"][row]) == pytest.approx(np.mean(moved) / np.linalg.norm(map), rel=1e-4)
        lipschitz = max(one / np.linalg.norm(each) for one, each in zip(moved, change, strict=True))
        assert float(found["local_lipschitz"][row]) == pytest.approx(lipschitz, rel=1e-4)


def test_random_networks() -> None:
    net = build(Softened)
    names = [name for name, _ in randomised_networks(net, 0, cascade=True)]
    assert names == ["head", "conv3", "conv2", "conv1"]
    before = torch.get_rng_state()
    ((_, first),) = randomised_networks(net, 0, cascade=False)
    ((_, again),) = randomised_networks(net, 0, cascade=False)
    ((_, other),) = randomised_networks(net, 1, cascade=False)
    assert torch.equal(before, torch.get_rng_state())
    for name, weight in net.named_parameters():
        assert not torch.equal(weight, first.get_parameter(name)), name
        torch.testing.assert_close(first.get_parameter(name), again.get_parameter(name))
        assert not torch.equal(first.get_parameter(name), other.get_parameter(name)), name
    _, cascade = METRICS["parameter_randomisation"].cascade(  # type: ignore[attr-defined]
        Case(images(), explainer(images(), 1, net), 1, net, explain=explainer)
    )
    assert cascade.shape == (3, 4)
    with pytest.raises(ValueError, match="must be a torch"):
        METRICS["parameter_randomisation"](images(), maps_for(images()), 1, lambda x: net(x), explain=explainer)


@pytest.mark.parametrize("axes", [1, 3])
def test_signals_and_volumes(axes: int) -> None:
    net, x = build(ConvNet, axes), inputs(axes)
    maps = torch.rand(len(x), *x.shape[2:], generator=torch.Generator().manual_seed(0))
    case = Case(x, maps, 1, net, explain=lambda inputs, targets, model: inputs.abs().sum(1))
    for metric in METRICS.values():
        if not {"masks", "boxes", "labels"} & {*metric.needs} and not metric.joint:
            assert metric.of(case).shape == (len(x),), metric.name
