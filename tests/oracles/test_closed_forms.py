"""Identities that need no oracle: with a simple head every method is a formula in its weights.

With features A, their global average Abar and one linear layer (W, b), CAM(p) = sum_k W_ck A_k(p) is the
class activation map and G_k(p) = W_ck / n at all n positions: every gradient method is a formula in W.
"""

from __future__ import annotations

import pytest
import torch
from helpers.shortcuts import close, explain, spread
from helpers.tiny_nets import CLASSES, SIZES, ConvNet, FlatLinear, GapLinear, build, inputs
from torch import Tensor

from pytorch_grad_cam import GradCAMPlusPlus


class Head:
    """A GapLinear network, its A (B, C, *S), W (C,) and n for one class, in float64."""

    def __init__(self, ndim: int, signed: bool, label: int = 1) -> None:
        self.net = build(GapLinear, ndim, signed=signed, seed=3).double()
        self.x, self.label, self.ndim = inputs(ndim, 3, seed=8).double(), label, ndim
        with torch.no_grad():
            self.A = self.net.features(self.x)
            self.W, self.b = self.net.head.weight[label], self.net.head.bias[label]
            self.y = self.net(self.x)[:, label]
        self.n = self.A[0, 0].numel()
        self.mean = self.A.flatten(2).mean(dim=2)  # (B, C)
        self.cam = (spread(self.W, ndim) * self.A).sum(dim=1)  # (B, *S)

    def raw(self, method: str) -> Tensor:
        return explain(method, self.net, "features", self.x, self.label).raw[0]


@pytest.fixture(params=[(n, s) for n in SIZES for s in (False, True)], ids=str)
def head(request: pytest.FixtureRequest) -> Head:
    return Head(*request.param)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "xgradcam"])
def test_gap_linear_is_cam(head: Head, method: str) -> None:
    close(head.raw(method), head.cam / head.n)


def test_gap_linear_cam_has_the_score_as_its_mean(head: Head) -> None:
    """mean_p CAM = y_c - b_c; the raw map is CAM / n."""
    close(head.raw("gradcam").flatten(1).sum(dim=1), head.y - head.b)


def test_gap_linear_layercam(head: Head) -> None:
    close(head.raw("layercam"), (spread(head.W.relu(), head.ndim) * head.A).sum(dim=1) / head.n)


def test_gap_linear_elementwise(head: Head) -> None:
    close(head.raw("gradcamelementwise"), (spread(head.W, head.ndim) * head.A).relu().sum(dim=1) / head.n)


def test_gap_linear_gradcamplusplus(head: Head) -> None:
    """w_k = relu(W_ck) / (2 + W_ck Abar_k); with epsilon 2 + W_ck Abar_k + epsilon n^2 / W_ck^2 below; G = W / n."""
    bottom = 2 + head.W * head.mean
    assert (bottom > 0.5).all(), "the closed form needs a denominator away from its pole: change the seed"
    for options, added in (({"epsilon": 0}, 0), ({}, 1e-6), ({"epsilon": 0.1}, 0.1)):
        weights = head.W.relu() / (bottom + added * head.n**2 / head.W**2)
        got = GradCAMPlusPlus(head.net, "features", **options).explain(head.x, head.label)
        close(got.weights[0], weights)
        close(got.raw[0], (spread(weights, head.ndim) * head.A).sum(dim=1))


def test_gap_linear_gradcamplusplus_of_the_authors(head: Head) -> None:
    """The same G at all n positions: alpha is the same there, and divided by its sum 1/n."""
    got = GradCAMPlusPlus(head.net, "features", normalized=True).explain(head.x, head.label)
    close(got.weights[0], (head.W.relu() / head.n).expand(len(head.x), -1))


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_gap_linear_has_the_map_of_cam(head: Head, method: str) -> None:
    """n divides out: the picture of an untouched map is the min-max of relu(CAM) where sizes agree."""
    size = tuple(head.cam.shape[1:])
    got = explain(method, head.net, "features", head.x, head.label, size=size).maps
    want = head.cam.relu().flatten(1)
    low, high = want.amin(dim=1, keepdim=True), want.amax(dim=1, keepdim=True)
    close(got.flatten(1), (want - low) / (high - low))


@pytest.mark.parametrize("ndim", SIZES)
@pytest.mark.parametrize("label", range(CLASSES))
def test_flat_linear_hirescam_is_complete(ndim: int, label: int) -> None:
    """One linear layer on all positions: sum_p HiResCAM = y_c - b_c, the faithfulness of the method."""
    net, x = build(FlatLinear, ndim, seed=2).double(), inputs(ndim, 3).double()
    raw = explain("hirescam", net, "features", x, label).raw[0]
    with torch.no_grad():
        close(raw.flatten(1).sum(dim=1), net(x)[:, label] - net.head.bias[label])


@pytest.mark.parametrize("ndim", SIZES)
def test_xgradcam_conserves_the_sum(ndim: int) -> None:
    """sum_p XGradCAM = sum_p HiResCAM behind any head, where no channel sum vanishes."""
    net, x = build(ConvNet, ndim, seed=6).double(), inputs(ndim, 2).double()
    got, want = (explain(method, net, "conv2", x, 0).raw[0] for method in ("xgradcam", "hirescam"))
    close(got.flatten(1).sum(dim=1), want.flatten(1).sum(dim=1))


def test_elementwise_is_layercam_for_positive_activations() -> None:
    net, x = build(ConvNet), inputs()
    a, b = (explain(method, net, "act2", x).raw[0] for method in ("gradcamelementwise", "layercam"))
    close(a, b)
