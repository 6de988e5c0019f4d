"""Maps that keep their graph: gradients through a map, and what cannot have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.methods_for_any_network import few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import ConvNet, ResidualNet, build, inputs
from torch import Tensor
from torch.nn import functional as F

from pytorch_grad_cam import EigenCAM, GradCAM, LayerCAM
from pytorch_grad_cam.methods import METHODS

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
RAW: dict[str, Any] = {"relu": False, "normalize": "none"}


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "gradcam++", "xgradcam", "layercam", "gradcamelementwise"])
def test_gradcheck_by_input_and_parameter(method: str) -> None:
    class Smooth(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            x = F.softplus(self.conv2(F.softplus(self.conv1(x))))
            return self.head(F.softplus(self.conv3(x)).flatten(2).mean(2))

    net = build(Smooth).double()
    x = inputs(size=(5, 6)).double()
    x.requires_grad = True
    cam = METHODS[method].load()(net, ["conv2", "conv3"])

    def maps(x: Tensor, _: Tensor) -> Tensor:
        return cam.explain(x, 1, relu=False, normalize="none", differentiable=True).maps.double()

    found = maps(x, net.conv1.weight)
    assert found.shape == (2, 5, 6)
    grads = torch.autograd.grad(found.square().sum(), [x, net.conv1.weight, net.head.weight])
    step = 1e-4
    for tensor, grad in zip((x, net.conv1.weight, net.head.weight), grads, strict=True):
        with torch.no_grad():
            place = int(grad.abs().argmax())
            flat = tensor.view(-1)
            before = float(flat[place])
            flat[place] = before + step
            above = float(maps(x, net.conv1.weight).square().sum())
            flat[place] = before - step
            below = float(maps(x, net.conv1.weight).square().sum())
            flat[place] = before
        numeric = (above - below) / (2 * step)
        assert abs(numeric - float(grad.flatten()[place])) <= 2e-3 * abs(numeric)  # the maps are float32


def test_a_loss_on_the_map_trains() -> None:
    net, x = build(ResidualNet), inputs()
    wanted = torch.rand(2, *x.shape[2:], generator=torch.Generator().manual_seed(3))
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = (GradCAM(net, "tail").explain(x, 1, differentiable=True).maps - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_equals_the_plain_map_and_leaves_no_grad() -> None:
    net, x = build(ResidualNet), inputs()
    cam = LayerCAM(net, "norm")
    found = cam.explain(x, 1, differentiable=True)
    assert found.maps.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())
    np.testing.assert_allclose(found.numpy(), cam(x, 1), atol=1e-6)
    assert not cam.explain(x, 1).maps.requires_grad


def test_refused() -> None:
    net, x = build(ConvNet), inputs()
    with pytest.raises(ValueError, match="an array has no graph"):
        GradCAM(net, "conv2")(x, differentiable=True)
    with pytest.raises(ValueError, match="EigenCAM takes no gradients"):
        EigenCAM(net, "conv2").explain(x, differentiable=True)
