"""Guided backpropagation: the rules on every way to write a ReLU, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from helpers.tiny_nets import ConvNet, InPlaceNet, build, frozen, inputs
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam import GuidedBackpropReLUModel, GuidedGradCAM, VanillaGradient


class Two(nn.Module):
    """conv, ReLU, conv, ReLU, sum: small enough to do by hand."""

    def __init__(self, relu: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.second(self.relu(self.first(x)))).sum((2, 3))


FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "module": nn.ReLU(),
    "in-place module": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "in-place method": lambda x: x.relu_(),
}


def by_hand(net: Two, x: Tensor, rule: str) -> Tensor:
    """Backward through the two layers, written out."""
    with torch.no_grad():
        first = net.first(x)
        second = net.second(first.clamp_min(0))

    def through(grad: Tensor, z: Tensor) -> Tensor:
        grad = grad.clamp_min(0) if rule in ("guided", "deconv") else grad
        return grad * (z > 0) if rule in ("plain", "guided") else grad

    grad = torch.zeros_like(second)
    grad[:, 1] = 1
    grad = F.conv_transpose2d(through(grad, second), net.second.weight.detach(), padding=1)
    return F.conv_transpose2d(through(grad, first), net.first.weight.detach(), padding=1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["plain", "guided", "deconv"])
def test_every_form_of_relu(form: str, rule: str) -> None:
    net, x = build(Two, FORMS[form]), inputs()
    found = GuidedBackpropReLUModel(net, rule=rule).gradients(x, 1)
    torch.testing.assert_close(found, by_hand(net, x, rule))


def test_the_interface_of_old() -> None:
    net, x = build(ConvNet), inputs(batch=1)
    guided = GuidedBackpropReLUModel(model=net, device="cpu")
    found = guided(x, target_category=1)
    assert found.shape == (11, 14, 2)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(guided(x), guided(x, target_category=net(x).argmax().item()))
    np.testing.assert_array_equal(guided(x, 1), found)  # nothing adds up
    assert guided(inputs(batch=3), 1).shape == (3, 11, 14, 2)


def test_nothing_is_left_behind() -> None:
    net = build(InPlaceNet)
    net.train()
    x = inputs().requires_grad_()
    modules = [(id(module), module.training, dict(vars(module))) for module in net.modules()]
    GuidedBackpropReLUModel(net)(x, 1)
    assert [(id(module), module.training, dict(vars(module))) for module in net.modules()] == modules
    assert x.grad is None
    assert all(parameter.grad is None for parameter in net.parameters())
    (plain,) = torch.autograd.grad(net(x)[0, 1], x)
    assert (plain < 0).any()  # later gradients are the true ones


def test_a_frozen_network_and_a_caller_without_gradients() -> None:
    net, x = build(ConvNet), inputs()
    expected = GuidedBackpropReLUModel(net)(x, 1)
    with torch.no_grad():
        np.testing.assert_array_equal(GuidedBackpropReLUModel(frozen(net))(x, 1), expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(GuidedBackpropReLUModel(net)(inputs(), 1), expected)


@pytest.mark.parametrize("function", [F.relu6, lambda x: F.relu6(x * 1, inplace=True), nn.ReLU6(), nn.Hardtanh(0, 6)])
@pytest.mark.parametrize("rule", ["guided", "deconv"])
def test_relu6_has_the_rules_of_a_relu(function: Callable[[Tensor], Tensor], rule: Any) -> None:
    """By hand: ``s = sum_j v_j relu6(w_j x)``, one number x = 2 and weights that end below 0, between, and above 6."""

    class ByHand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([-1.0, 1.0, 2.0, 4.0, 0.5]))
            self.v = nn.Parameter(torch.tensor([1.0, 3.0, -5.0, 7.0, 11.0]))

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([(self.v * function(self.w * x[0, 0, 0, 0])).sum()] * 2)[None]

    # Between 0 and 6 are w x = 2, 4 and 1; guided drops the gradient -5, deconv keeps all of 1, 3, 7, 11.
    wanted = {"guided": 3 * 1 + 11 * 0.5, "deconv": -1 * 1 + 1 * 3 + 4 * 7 + 0.5 * 11}[rule]
    found = VanillaGradient(ByHand(), relu_rule=rule).attributions(torch.full((1, 1, 1, 1), 2.0), 0)
    assert found.item() == pytest.approx(wanted)


def test_guided_grad_cam_of_a_mobilenet_is_not_blank() -> None:
    torch.manual_seed(0)
    net = torchvision.models.mobilenet_v2(weights=None).eval()
    found = GuidedGradCAM(net, "features.13").explain(torch.randn(1, 3, 64, 64), 3)
    assert found.notes == ((),)
    assert int((found.maps > 0).sum()) > 100


@pytest.mark.parametrize("smooth", [F.gelu, F.silu, F.hardswish, F.hardtanh, torch.tanh])
def test_a_network_without_relu_is_refused(smooth: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"guided rule changes the gradient of ReLUs, but there is none"):
        GuidedBackpropReLUModel(build(Two, smooth))(inputs(), 1)
    GuidedBackpropReLUModel(build(Two, smooth), rule="plain")(inputs(), 1)
    with pytest.raises(ValueError, match=r"relu_rule='half' is unknown"):
        GuidedBackpropReLUModel(build(ConvNet), rule="half")(inputs(), 1)
