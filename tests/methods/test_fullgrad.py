"""FullGrad: contributions that sum to the score, the authors' map, layers of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.tiny_nets import SIZES, ConvNet, GapLinear, ResidualNet, build, inputs
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam import FullGrad
from pytorch_grad_cam.fullgrad_cam import bias_of


@pytest.mark.parametrize("ndim", SIZES)
def test_contributions_sum_to_the_score(ndim: int) -> None:
    """ConvNet is piecewise linear: input and biases make up the whole score (arXiv:1905.00780, equation 5)."""
    net, x = build(ConvNet, ndim).double(), inputs(ndim).double()
    found = FullGrad(net).explain(x, 1)
    assert found.layers == ("input", "conv1", "conv2", "conv3")
    total = sum(raw.flatten(1).sum(1) for raw in found.raw) + net.head.bias[1].detach()
    torch.testing.assert_close(total, found.scores)
    assert found.notes == ((), ())


def test_batch_norm_counts_with_its_running_mean() -> None:
    net, x = build(ResidualNet).double(), inputs().double()
    net.norm.running_mean += 0.3
    found = FullGrad(net).explain(x, 1)
    total = sum(raw.flatten(1).sum(1) for raw in found.raw) + net.head.bias[1].detach()
    torch.testing.assert_close(total, found.scores)
    bias = bias_of(net.norm)
    zero = torch.zeros(1, 4, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(net.norm(zero)[0, :, 0, 0], bias)


def test_the_map_is_the_authors() -> None:
    net, x = build(ConvNet).double(), inputs(batch=1).double()
    leaf = x.clone().requires_grad_()
    z1 = net.conv1(leaf)
    z2 = net.conv2(F.relu(z1))
    z3 = net.conv3(F.relu(z2))
    score = net.head(F.relu(z3).flatten(2).mean(2))[0, 1]
    grads = torch.autograd.grad(score, [leaf, z1, z2, z3])
    biases = [x, *(conv.bias.detach().reshape(1, -1, 1, 1) for conv in (net.conv1, net.conv2, net.conv3))]
    expected = torch.zeros(SIZES[2], dtype=torch.float64)
    for grad, bias in zip(grads, biases, strict=True):
        term = (grad * bias).abs()
        term = (term - term.min()) / (term.max() - term.min())  # the whole layer at once
        expected += F.interpolate(term.sum(1, keepdim=True), SIZES[2], mode="bilinear")[0, 0]
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    np.testing.assert_allclose(FullGrad(net)(x, 1)[0], expected, atol=1e-6)


def test_a_gap_is_reported() -> None:
    net = build(GapLinear, signed=True)  # tanh is not piecewise linear
    with pytest.warns(UserWarning, match=r"input and biases miss \d+% of the score"):
        found = FullGrad(net).explain(inputs(), 1)
    assert all(len(notes) == 1 for notes in found.notes)


def test_a_layer_that_runs_twice_or_not_at_all() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.unused = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.conv(x).relu()).relu().mean((2, 3))

    net, x = build(Twice).double(), inputs().double()
    found = FullGrad(net).explain(x, 1)
    assert found.layers == ("input", "conv", "conv")
    torch.testing.assert_close(sum(raw.flatten(1).sum(1) for raw in found.raw), found.scores)


def test_channels_may_be_the_last_axis() -> None:
    """A norm named LayerNorm2d turns its input; a Linear on (B, H, W, C) does not: both have places."""

    class Norm2d(nn.LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.movedim(1, -1)).movedim(-1, 1)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.linear = nn.Conv2d(2, 8, 3, padding=1), Norm2d(8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.conv(x))
            return self.linear(x.movedim(1, -1)).mean((1, 2)) + 0 * self.linear(x.flatten(2).mT).mean(1)

    net, x = build(Last).double(), torch.randn(2, 2, 6, 6, dtype=torch.float64)
    net.norm.bias.data.normal_()
    with pytest.warns(UserWarning, match="miss"):  # a norm divides, which is not linear
        found = FullGrad(net).explain(x, 1)
    assert found.layers == ("input", "conv", "norm", "linear")  # the second linear has tokens, not places
    assert {tuple(raw.shape) for raw in found.raw} == {(2, 6, 6)}
    share = net.linear.bias[1] / 36  # every place counts its part of the mean
    torch.testing.assert_close(found.raw[3], share.expand(2, 6, 6))
    by_place = (net.linear.weight[1] * net.norm.bias).sum() / 36
    torch.testing.assert_close(found.raw[2], by_place.expand(2, 6, 6))


def test_what_follows_in_place_or_without_a_graph_is_no_matter() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.conv = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                x = self.frozen(x)
            return self.conv(x).mul_(2).relu_().mean((2, 3))

    net, x = build(InPlace).double(), inputs().double()
    with pytest.warns(UserWarning, match="miss"):  # the input, which the graph does not reach
        found = FullGrad(net).explain(x, 1)
    assert found.layers == ("conv",)
    lit = (net.conv(net.frozen(x))[:, 1] > 0).double() * 2 * net.conv.bias[1] / (7 * 10)  # places
    torch.testing.assert_close(found.raw[0], lit)


def test_target_layers_are_accepted_and_ignored() -> None:
    net, x = build(ConvNet), inputs()
    np.testing.assert_array_equal(FullGrad(net, [net.conv1])(x, 1), FullGrad(model=net, target_layers=[])(x, 1))
