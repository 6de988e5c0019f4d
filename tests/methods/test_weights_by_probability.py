"""ScoreCAM and its kin asked about a probability: the authors' weights, and a note where weights say nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.shortcuts import blank
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam import ISCAM, SSCAM, GScoreCAM, ScoreCAM
from pytorch_grad_cam.common.messages import EQUAL_WEIGHTS
from pytorch_grad_cam.targets.classification import (
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
)

CLASS = 1


class Scaled(nn.Module):
    """A network with larger scores, so that masks matter, and maybe as probabilities, or one score of yes."""

    def __init__(self, form: str = "scores") -> None:
        super().__init__()
        self.net, self.form = build(ConvNet, seed=1), form

    def forward(self, x: Tensor) -> Tensor:
        scores = self.net(x) * 2
        if self.form == "one score":
            return scores[:, CLASS]
        return scores.softmax(1) if self.form == "probabilities" else scores


def probabilities(target: Callable[[Tensor], Tensor]) -> Tensor:
    """What each channel's mask leaves of an image's probability, in float64: (B, C); 0 for constant channels."""
    net, x = Scaled().double(), inputs(2, 2).double()
    kept: list[Tensor] = []
    handle = net.net.act2.register_forward_hook(lambda *args: kept.append(args[2].detach()))
    with torch.no_grad():
        net(x)
        handle.remove()
        rows = []
        for image, activations in zip(x, kept[0], strict=True):
            grown = F.interpolate(activations[:, None], x.shape[2:], mode="bilinear", align_corners=True)[:, 0]
            low, high = grown.amin((1, 2), True), grown.amax((1, 2), True)
            masks = (grown - low) / torch.where(high > low, high - low, 1)
            found = [target(net(image[None] * mask)[0]) if mask.any() else torch.zeros(()).double() for mask in masks]
            rows.append(torch.stack(found))
    return torch.stack(rows)


def of_class(row: Tensor) -> Tensor:
    return row.softmax(0)[CLASS]


CASES: dict[str, tuple[str, Any, dict[str, Any], Callable[[Tensor], Tensor]]] = {
    "a probability": ("scores", ClassifierOutputSoftmaxTarget(CLASS), {}, of_class),
    "by name": ("scores", CLASS, {"weighting": "probability"}, of_class),
    "each by name": ("scores", [ClassifierOutputTarget(CLASS)] * 2, {"weighting": "probability"}, of_class),
    "a network of probabilities": ("probabilities", CLASS, {}, of_class),
    "a callable by name": ("scores", of_class, {"weighting": "probability"}, of_class),
    "yes": ("one score", 1, {"weighting": "probability"}, lambda row: row[CLASS].sigmoid()),
}


@pytest.mark.filterwarnings("ignore:.*nearly equal weights")  # of a network that is not trained
@pytest.mark.parametrize("case", CASES)
def test_the_authors_weights_are_the_probabilities(case: str) -> None:
    form, target, options, wanted = CASES[case]
    found = ScoreCAM(Scaled(form), "net.act2", **options).explain(inputs(2, 2), target)
    np.testing.assert_allclose(found.weights[0], probabilities(wanted), rtol=1e-3, atol=1e-6)
    assert found.notes == ((), ())


@pytest.mark.parametrize("method", [ScoreCAM, SSCAM, ISCAM, GScoreCAM])
def test_the_softmax_of_probabilities_knows_no_class_and_says_so(method: Callable[..., Any]) -> None:
    few = {} if method in (ScoreCAM, GScoreCAM) else {"num_samples": 2}
    own = method(Scaled(), "net.act2", **few).explain(inputs(2, 2), ClassifierOutputSoftmaxTarget(CLASS))
    assert own.notes == ((), ())
    mild = build(ConvNet, seed=1)  # probabilities near 1/3
    for options, target in (({"weighting": "softmax"}, ClassifierOutputSoftmaxTarget(CLASS)), ({}, of_class)):
        with blank():
            found = method(mild, "act2", **few, **options).explain(inputs(2, 2), target)
        assert [[note.code for note in notes] for notes in found.notes] == [[EQUAL_WEIGHTS]] * 2
        assert "weighting='probability'" in found.notes[0][0]
        assert found.maps.any()


def test_a_class_that_every_mask_leaves_gets_no_advice_that_it_has_taken() -> None:
    with blank():
        found = ScoreCAM(Scaled("one score"), "net.act2", weighting="probability").explain(inputs(2, 2), 0)
    assert [[note.code for note in notes] for notes in found.notes] == [[EQUAL_WEIGHTS]] * 2
    assert "weighting" not in found.notes[0][0]


def test_the_default_for_classes_is_the_softmax() -> None:
    found, named = (
        ScoreCAM(Scaled(), "net.act2", **options).explain(inputs(2, 2), CLASS)
        for options in ({}, {"weighting": "softmax"})
    )
    assert torch.equal(found.maps, named.maps)
    np.testing.assert_allclose(found.weights[0].sum(1), [1, 1], rtol=1e-5)


def test_an_unknown_weighting_is_refused() -> None:
    with pytest.raises(ValueError, match="weighting='sum' is unknown; choose 'auto', 'softmax' or 'probability'"):
        ScoreCAM(Scaled(), "net.act2", weighting="sum")
