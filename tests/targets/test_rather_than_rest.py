"""``contrast="rest"``: a class against all others together, its log odds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.methods_for_any_network import few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import CLASSES, ConvNet, DictNet, UNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import FEM, SESS, FinerCAM, GradCAM, GradCAMPlusPlus, HiResCAM, ScoreCAM, ShapleyCAM
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.targets.classification import ClassifierOutputSoftmaxTarget, ClassifierOutputTarget

CLASS = 2


def by_hand(row: Tensor) -> Tensor:
    """log p / (1 - p), in float64 where the network is."""
    p = row.softmax(-1)[CLASS]
    return torch.log(p / (1 - p))


class Probabilities(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = build(ConvNet, seed=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).softmax(1)


@pytest.mark.parametrize(
    "asked", [CLASS, [CLASS, CLASS], torch.tensor([CLASS] * 2), ClassifierOutputTarget(CLASS), "c"]
)
@pytest.mark.parametrize("method", [GradCAM, HiResCAM, ShapleyCAM, FinerCAM])
def test_it_is_the_log_odds(method: Any, asked: Any) -> None:
    net, x = build(ConvNet, seed=2).double(), inputs(2, 2).double()
    base = GradCAM if method is FinerCAM else method  # the rest is who the class is compared with
    wanted = base(net, "act2").explain(x, by_hand)
    found = method(net, "act2", categories=["a", "b", "c"]).explain(x, asked, contrast="rest")
    assert found.classes == (CLASS, CLASS)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-9)
    np.testing.assert_allclose(found.raw[0], wanted.raw[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.maps, wanted.maps, atol=1e-6)  # rectified, as for a class alone


def test_without_a_target_it_is_the_top_class() -> None:
    net, x = build(ConvNet, seed=2), inputs(2, 2)
    top = net(x).argmax(1).tolist()
    found, named = (GradCAM(net, "act2").explain(x, target, contrast="rest") for target in (None, top))
    assert found.classes == tuple(top)
    assert torch.equal(found.maps, named.maps)


def test_networks_of_probabilities_and_outputs_with_parts() -> None:
    x = inputs(2, 2)
    wanted = HiResCAM(build(ConvNet, seed=2).double(), "act2").explain(x.double(), by_hand, relu=False).maps
    found = HiResCAM(Probabilities(), "net.act2").explain(x, CLASS, contrast="rest", relu=False).maps
    assert (found - wanted).abs().max() < 1e-5
    parts = build(DictNet, seed=2)
    wanted = GradCAM(parts, "act2").explain(x, lambda row: by_hand(row["logits"]), relu=False).maps
    found = GradCAM(parts, "act2").explain(x, CLASS, contrast="rest", relu=False).maps
    assert (found - wanted).abs().max() < 1e-5


def test_one_score_is_the_log_odds_already() -> None:
    class OneScore(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build(ConvNet, seed=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)[:, :1]

    plain, rest = (
        GradCAM(OneScore(), "net.act2").explain(inputs(2, 2), 1, **asked) for asked in ({}, {"contrast": "rest"})
    )
    assert torch.equal(plain.maps, rest.maps)


def test_two_classes_are_one_contrast() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build(ConvNet, seed=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)[:, :2]

    cam = GradCAM(Two(), "net.act2")
    pair = cam.explain(inputs(2, 2), contrast=(0, 1))
    rest = cam.explain(inputs(2, 2), 0, contrast="rest", relu=False)
    assert (pair.maps - rest.maps).abs().max() < 1e-6
    against = cam.explain(inputs(2, 2), 0, contrast="rest", against=True, relu=False)
    assert (pair.maps + against.maps).abs().max() < 1e-6


@pytest.mark.usefixtures("few_steps")
@pytest.mark.filterwarnings("ignore:.*not every map means something")
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.needs])
def test_every_method_can_be_asked(name: str) -> None:
    cam = METHODS[name].load()(build(ConvNet, seed=2), "act2")
    found = cam.explain(inputs(2, 2), CLASS, contrast="rest")
    assert found.classes == ((CLASS, CLASS) if cam.uses_targets else (None, None))
    assert found.maps.shape == (2, *inputs(2, 2).shape[2:])


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_each_class_against_all_others() -> None:
    net, x = build(ConvNet, seed=2), inputs(2, 2)
    found = GradCAM(net, "act2").explain_each(x, list(range(CLASSES)), contrast="rest")
    odds = torch.log_softmax(net(x), 1).exp().detach()
    np.testing.assert_allclose(found.scores, torch.log(odds / (1 - odds)), rtol=1e-4)


def test_windows_of_sess_count_by_the_probability() -> None:
    """Log odds below 0 are no reason to leave a window out."""
    net, x = build(ConvNet, seed=2), inputs(2, 1, size=(32, 40))
    worst = int(net(x).argmin())
    by_class, by_odds = (
        SESS(net, "act2", base_method=ScoreCAM, num_scales=2, weighting="probability").explain(x, worst, **asked)
        for asked in ({}, {"contrast": "rest"})
    )
    assert torch.allclose(by_class.maps, by_odds.maps, atol=1e-5)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (lambda row: row.sum(), 'contrast="rest" sets a class against all others, and a target .* says no class'),
        ([0, lambda row: row.sum()], "says no class"),
        (ClassifierOutputSoftmaxTarget(1), "says no class"),
        (torch.eye(CLASSES)[:2], "says no class"),
    ],
)
def test_what_names_no_class_is_refused(targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradCAM(build(ConvNet), "act2")(inputs(2, 2), targets, contrast="rest")


def test_another_word_and_another_kind_of_network() -> None:
    with pytest.raises(ValueError, match=r"contrast='others' must be two different class indices.* or 'rest'"):
        GradCAM(build(ConvNet), "act2")(inputs(2, 2), contrast="others")
    with pytest.raises(ValueError, match='contrast="rest" sets a class against all others, but the model returns'):
        GradCAM(build(UNet), "middle")(inputs(2, 2), 1, contrast="rest")


def test_what_a_contrast_says_little_of(logged: list[str]) -> None:
    net, x = build(ConvNet, seed=2), inputs(2, 2)
    for kind, wanted in (
        (GradCAM, ""),
        (GradCAMPlusPlus, "maps of GradCAMPlusPlus are much the same for every class: contrast says little"),
        (FEM, "FEM shows what stands out whatever the target; targets are ignored"),
    ):
        logged.clear()
        kind(net, "act2").explain(x, contrast=(0, 2))
        assert [line for line in logged if "class" in line or "ignored" in line] == ([wanted] if wanted else [])
