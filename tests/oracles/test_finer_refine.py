# ruff: noqa: N806 - A, G, K and W are the names of the literature
"""FinerCAM and RefineCAM against their definitions in float64 NumPy, and classes asked about in their own ways.

A and G come from an ordinary autograd pass over a float64 copy of the network (`independent_gradients.py`).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from helpers import oracles
from helpers.independent_gradients import record
from helpers.shortcuts import MEANINGLESS, close
from helpers.tiny_nets import (
    SIZES,
    ConvNet,
    DictNet,
    GapLinear,
    build,
    inputs,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam import (
    SESS,
    AblationCAM,
    EigenCAM,
    FinerCAM,
    FullGrad,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    LayerCAM,
    RefineCAM,
    ScoreCAM,
    ShapleyCAM,
)
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget, FinerWeightedTarget

Array = NDArray[np.float64]
pytestmark = pytest.mark.filterwarnings(f"ignore:.*{MEANINGLESS}")
ranks = pytest.mark.parametrize("ndim", SIZES)


def first_score(outputs: Tensor) -> Tensor:
    return outputs[:, 0]


def gradcam(net: nn.Module, layers: list[str], x: Tensor, score: Any) -> list[list[Array]]:
    """GradCAM's raw maps, per image and layer."""
    seen = record(net.double(), layers, x.double(), score)
    pairs = list(zip(seen.A, seen.G, strict=True))
    return [[oracles.raw_map("gradcam", A[i], G[i]) for A, G in pairs] for i in range(len(x))]


def check(got: Any, raws: list[list[Array]], size: Any, tolerance: float = 1e-4) -> None:
    """Raw maps and pictures."""
    for i, layers in enumerate(raws):
        for raw, want in zip(got.raw, layers, strict=True):
            assert raw[i].shape == want.shape
            assert np.abs(raw[i].numpy() - want).max() <= tolerance * (np.abs(want).max() or 1)
        assert np.abs(got.maps[i].numpy() - oracles.picture(layers, size)).max() <= tolerance


# -- FinerCAM ------------------------------------------------------------------------------------------------
def contrast(y: Tensor, category: int, wanted: tuple[int, ...], alpha: float) -> Tensor:
    """The score of one image, its references found by a search written out."""
    near = sorted((abs(float(y.detach()[d] - y.detach()[category])), d) for d in range(len(y)) if d != category)
    others = [near[rank - 1][1] for rank in wanted if rank <= len(near)]
    with torch.no_grad():
        p = y.exp() / y.exp().sum()
    return y[category] - alpha * sum(p[d] * y[d] for d in others) / sum(p[d] for d in others)


@ranks
@pytest.mark.parametrize(
    ("targets", "options"),
    [(None, {}), ([2, 0, 1], {"alpha": 0.6}), (None, {"target_idx": 1, "comparison_categories": [2, 9]})],
    ids=["top", "classes", "index"],
)
def test_finercam(ndim: int, targets: Any, options: dict[str, Any]) -> None:
    x, layers = inputs(ndim, 3), ["act1", "conv2"]

    def score(outputs: Tensor) -> Tensor:
        classes = targets or [options.get("target_idx", int(y.argmax())) for y in outputs]
        wanted = tuple(options.get("comparison_categories", (1, 2, 3)))
        pairs = zip(outputs, classes, strict=True)
        return torch.stack([contrast(y, c, wanted, options.get("alpha", 1)) for y, c in pairs])

    cam = FinerCAM(build(ConvNet, ndim, seed=1), layers)
    got = cam.explain(x, targets, **options)
    check(got, gradcam(build(ConvNet, ndim, seed=1), layers, x, score), SIZES[ndim])
    np.testing.assert_array_equal(cam(x, targets, False, **options), got.numpy())
    np.testing.assert_array_equal(cam.forward(x, targets, **options), got.numpy())


def test_finercam_of_a_pooled_linear_head_is_a_difference_of_weights() -> None:
    net, x = build(GapLinear), inputs()
    got = FinerCAM(net, "features").explain(x, 0)
    with torch.no_grad():
        y, W, A = net(x), net.head.weight, net.features(x)
    share = y[:, 1:].softmax(1)  # three classes: the other two are the most similar
    want = (W[0] - share @ W[1:]) / A[0, 0].numel()
    close(got.weights[0], want)
    assert got.classes == (0, 0)
    close(got.scores, y[:, 0] - (share * y[:, 1:]).sum(1))


@pytest.mark.parametrize(
    "base", [GradCAM, GradCAMPlusPlus, LayerCAM, HiResCAM, ScoreCAM, AblationCAM, FullGrad, EigenCAM, ShapleyCAM]
)
def test_finercam_without_strength_is_its_base(base: Any) -> None:
    net, x = build(ConvNet), inputs()
    target = None if base is EigenCAM else ClassifierOutputTarget(1)  # ShapleyCAM has a score of its own for a class
    want = base(net, "conv2")(x, target)
    np.testing.assert_allclose(FinerCAM(net, "conv2", base_method=base)(x, 1, alpha=0), want, atol=1e-5)
    if base is not EigenCAM:
        with FinerCAM(net, "conv2", base_method=base) as cam:
            assert np.abs(cam(x, 1) - want).max() > 1e-3


@pytest.mark.parametrize("classes", [1, 2, 3, 4, 7])
def test_finercam_with_few_classes(classes: int) -> None:
    net, x = build(ConvNet), inputs()
    net.head = nn.Linear(6, classes)
    got = FinerCAM(net, "conv2").explain(x)
    assert got.maps.shape == (2, *SIZES[2])
    if classes == 2:
        y = net(x).detach()
        close(got.scores, (y.amax(1) - y.amin(1)))


def test_finercam_takes_callables_as_they_are_and_refuses_itself_as_reference() -> None:
    net, x = build(ConvNet), inputs()
    np.testing.assert_array_equal(FinerCAM(net, "conv2")(x, [lambda y: y[1]] * 2), GradCAM(net, "conv2")(x, 1))
    mine = FinerWeightedTarget(1, [0, 2], 1.0)
    np.testing.assert_allclose(FinerCAM(net, "conv2")(x, mine), FinerCAM(net, "conv2")(x, 1), atol=1e-5)
    with pytest.raises(ValueError, match="0 would be the class itself"):
        FinerCAM(net, "conv2")(x, comparison_categories=[0, 1])
    with pytest.raises(IndexError, match="class 3 does not exist"):
        FinerCAM(net, "conv2")(x, 3)
    with pytest.raises(ValueError, match="1 targets for a batch of 2"):
        FinerCAM(net, "conv2")(x, [1])


def test_the_weights_of_the_comparison_are_constants() -> None:
    y = torch.tensor([1.0, 0.5, -0.3, 2.0], requires_grad=True)
    (slope,) = torch.autograd.grad(FinerWeightedTarget(0, [1, 3], 0.7)(y), y)
    p = np.exp([0.5, 2.0]) / np.exp([0.5, 2.0]).sum()
    np.testing.assert_allclose(slope, [1, -0.7 * p[0], 0, -0.7 * p[1]], atol=1e-6)


def test_smoothing_over_views_keeps_the_references() -> None:
    net, x = build(ConvNet), inputs()
    with torch.no_grad():
        y = net(x)
    fixed = [functools.partial(contrast, category=int(row.argmax()), wanted=(1, 2, 3), alpha=1.0) for row in y]
    np.testing.assert_allclose(
        FinerCAM(net, "conv2")(x, aug_smooth=True), GradCAM(net, "conv2")(x, fixed, aug_smooth=True), atol=1e-5
    )


# -- RefineCAM -----------------------------------------------------------------------------------------------
@ranks
@pytest.mark.parametrize("fusion", ["product", "geometric"])
@pytest.mark.parametrize("relu", [True, False])
def test_refinecam(ndim: int, fusion: Any, relu: bool) -> None:
    x, layers = inputs(ndim, 3), ["conv1", "act1", "conv2"]
    raws = gradcam(build(ConvNet, ndim, seed=1), layers, x, first_score)
    cam = RefineCAM(build(ConvNet, ndim, seed=1), layers, base_method=GradCAM, fusion=fusion)
    got = cam.explain(x, 0, relu=relu)
    root = 1 if fusion == "product" else 1 / 3
    for i, each in enumerate(raws):
        maps = [oracles.picture([raw], SIZES[ndim], relu=relu) for raw in each]
        fused = np.prod([np.maximum(m, 0) for m in maps], axis=0) ** root
        fused -= np.prod([np.maximum(-m, 0) for m in maps], axis=0) ** root
        want = oracles.unit_range(fused) if relu else oracles.unit_peak(fused)
        assert np.abs(got.maps[i].numpy() - want).max() <= 1e-4


def test_refinecam_of_one_layer_is_its_base_and_takes_one_pass() -> None:
    net, x, calls = build(ConvNet), inputs(), []
    np.testing.assert_allclose(RefineCAM(net, "conv2")(x, 1), GradCAMPlusPlus(net, "conv2")(x, 1), atol=1e-6)
    net.register_forward_hook(lambda *args: calls.append(1))
    RefineCAM(net, ["conv1", "act1", "conv2"])(x, 1)
    assert len(calls) == 1


def test_layers_that_agree_nowhere_are_reported() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Identity(), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            there = torch.arange(x.shape[-1]) < 6
            return (self.left(x * there) + self.right(x * ~there)).sum((2, 3))

    with pytest.warns(UserWarning, match="the layers agree nowhere"):
        RefineCAM(Halves(), ["left", "right"], base_method=GradCAM)(inputs().abs(), 0, size=(11, 14))


# -- classes asked about in a way of their own -------------------------------------------------------------
@pytest.mark.parametrize("method", [FinerCAM, ShapleyCAM, SESS])
def test_classes_are_found_wherever_they_are(method: Any) -> None:
    net, x = build(ConvNet), inputs()
    want = method(net, "act1").explain(x, [0, 2])
    for other in (method(build(DictNet), "act1"), method(build(DictNet), "act1", output="logits")):
        np.testing.assert_allclose(other.explain(x, [0, 2]).numpy(), want.numpy(), atol=1e-6)
        assert other.explain(x).classes == method(net, "act1").explain(x).classes


@pytest.mark.parametrize("method", [FinerCAM, ShapleyCAM])
def test_one_score_is_yes_or_no(method: Any) -> None:
    net, x = build(ConvNet), inputs()
    net.head = nn.Linear(6, 1)
    for target in (0, 1, None):
        got, want = (kind(net, "act1").explain(x, target) for kind in (method, GradCAM))
        close(got.raw[0], want.raw[0])
        assert got.classes == want.classes


@pytest.mark.parametrize("method", [FinerCAM, ShapleyCAM])
def test_what_speaks_against_and_several_questions(method: Any) -> None:
    net, x = build(ConvNet), inputs()
    each = [method(net, "act1").explain(x, target, relu=False) for target in (0, 1, 2)]
    close(method(net, "act1").explain(x, 1, against=True, relu=False).raw[0], -each[1].raw[0])
    together = method(net, "act1").explain_each(x, relu=False)
    close(together.maps, torch.stack([one.maps for one in each], 1))


@pytest.mark.parametrize("base", [GradCAM, ScoreCAM, EigenCAM, FinerCAM, RefineCAM, LayerCAM])
def test_methods_inside_methods(base: Any) -> None:
    net, x = build(ConvNet), inputs()
    for outer in (SESS, RefineCAM, FinerCAM):
        options = {"num_scales": 2} if outer is SESS else {}
        found = outer(net, ["act1", "conv2"], base_method=base, **options).explain(x, [0, 2])
        assert found.maps.shape == (2, *SIZES[2])
        assert found.maps.isfinite().all()
    if base is FinerCAM:
        assert not np.array_equal(
            RefineCAM(net, ["act1"], base_method=FinerCAM)(x, 1), RefineCAM(net, ["act1"], base_method=GradCAM)(x, 1)
        )
