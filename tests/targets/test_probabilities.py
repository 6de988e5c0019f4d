"""Probabilities as targets, also those of networks that are sure: maps beside the log odds in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.shortcuts import blank
from helpers.tiny_nets import CLASSES, ConvNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, ShapleyCAM
from pytorch_grad_cam.common.messages import SURE, ZERO_GRADIENT
from pytorch_grad_cam.engine.scoring import scores_of
from pytorch_grad_cam.targets.classification import ClassifierOutputSoftmaxTarget, ClassifierOutputTarget

CLASS = 1
MARGINS = [0, 10, 20, 40, 70]  # what p lacks to 1 is about e^-margin: .7 ... 1e-30


class Sure(nn.Module):
    """A network that adds a margin to the score of class 1; maybe it returns probabilities."""

    def __init__(self, margin: float, softmax: bool = False) -> None:
        super().__init__()
        self.net, self.softmax = build(ConvNet, seed=1), softmax
        self.margins = margin * torch.eye(CLASSES)[CLASS]

    def forward(self, x: Tensor) -> Tensor:
        scores = self.net(x) + self.margins.to(x)
        return scores.softmax(1) if self.softmax else scores


def log_odds(row: Tensor) -> Tensor:
    others = [row[index] for index in range(len(row)) if index != CLASS]
    return row[CLASS] - torch.stack(others).logsumexp(0)


def written_by_hand(row: Tensor) -> Tensor:
    return row.softmax(-1)[CLASS]


def want(margin: float, method: Callable[..., Any]) -> Tensor:
    """The map of the log odds in float64, which differs from that of the probability by a factor alone."""
    return method(Sure(margin).double(), "net.act2").explain(inputs(2, 2).double(), log_odds).maps


ASKED = {
    "softmax target": (False, ClassifierOutputSoftmaxTarget(CLASS)),
    "network of probabilities": (True, CLASS),
    "network of probabilities, each": (True, [CLASS, ClassifierOutputTarget(CLASS)]),
    "network of probabilities, in part": (True, lambda row: ClassifierOutputTarget(CLASS)({"logits": row})),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("method", [GradCAM, HiResCAM])
def test_a_probability_is_explained_however_sure_the_network_is(
    method: Callable[..., Any], margin: float, asked: str
) -> None:
    softmax, target = ASKED[asked]
    found = method(Sure(margin, softmax), "net.act2").explain(inputs(2, 2), target)
    assert found.notes == ((), ())
    assert found.maps.flatten(1).amax(1).tolist() == [1, 1]
    assert (found.maps - want(margin, method)).abs().max() < 1e-5
    torch.testing.assert_close(found.scores, Sure(margin)(inputs(2, 2)).softmax(1)[:, CLASS].detach())


def test_a_probability_written_by_hand_says_where_its_gradient_is_lost() -> None:
    x = inputs(2, 2)
    fine = GradCAM(Sure(3), "net.act2").explain(x, written_by_hand)
    assert fine.notes == ((), ())
    assert (fine.maps - want(3, GradCAM)).abs().max() < 1e-4
    for margin in (25, 40, 200):
        with blank():
            lost = GradCAM(Sure(margin), "net.act2").explain(x, written_by_hand)
        assert [[note.code for note in notes] for notes in lost.notes] == [[SURE]] * 2
        assert "ClassifierOutputSoftmaxTarget" in lost.notes[0][0]


def test_a_probability_beyond_the_type_has_no_gradient() -> None:
    """1 - p of e^-200 is 0 in float32, whatever is done."""
    for softmax, target in ((False, ClassifierOutputSoftmaxTarget(CLASS)), (True, CLASS)):
        with blank():
            found = GradCAM(Sure(200, softmax), "net.act2").explain(inputs(2, 2), target)
        assert [[note.code for note in notes] for notes in found.notes] == [[ZERO_GRADIENT]] * 2
        assert not found.maps.any()


def test_numbers_that_sum_to_one_by_chance_are_no_probabilities() -> None:
    """Only a softmax makes them that, and over the classes: one over the images has another gradient."""
    leaf = torch.zeros(2, 2, requires_grad=True)
    (grad,) = torch.autograd.grad(scores_of(leaf.softmax(0), [ClassifierOutputTarget(0)] * 2).sum(), leaf)
    assert grad.tolist() == [[0, 0], [0, 0]]
    scores = torch.tensor([[0.25, 0.75], [0.5, 0.5]], requires_grad=True)
    (grad,) = torch.autograd.grad(scores_of(scores * 1, [ClassifierOutputTarget(0)] * 2).sum(), scores)
    assert grad.tolist() == [[1, 0], [1, 0]]


def test_the_probability_of_the_only_class_is_one() -> None:
    assert ClassifierOutputSoftmaxTarget(0)(torch.tensor([3.0])).item() == 1


@pytest.mark.parametrize("method", [GradCAMPlusPlus, ShapleyCAM])
def test_methods_that_know_the_scale_of_a_score_get_that_of_the_probability(method: Callable[..., Any]) -> None:
    x = inputs(2, 2)
    wide = method(Sure(5).double(), "net.act2").explain(x.double(), written_by_hand)
    found = method(Sure(5), "net.act2").explain(x, ClassifierOutputSoftmaxTarget(CLASS))
    assert (found.maps - wide.maps).abs().max() < 1e-4
    torch.testing.assert_close(found.weights[0].double(), wide.weights[0], rtol=1e-3, atol=0)
