"""On a CUDA device: the same maps, tensors that stay there, a random state that is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.methods_for_any_network import ANY_NETWORK, few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import SIZES, ConvNet, InPlaceNet, build, inputs

from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("ignore:.*not every map means something"),
]


@pytest.mark.parametrize("method", ANY_NETWORK.values(), ids=ANY_NETWORK)
@pytest.mark.parametrize("ndim", SIZES)
@pytest.mark.parametrize("kind", [ConvNet, InPlaceNet])
def test_the_map_of_the_cpu(method: Any, ndim: int, kind: Any) -> None:
    net, x = build(kind, ndim).double(), inputs(ndim)
    expected = method.load()(net, "conv2")(x, 1)
    explanation = method.load()(net.cuda(), "conv2").explain(x, 1)  # the input is moved
    assert explanation.maps.is_cuda
    assert all(raw.is_cuda for raw in explanation.raw)
    np.testing.assert_allclose(explanation.numpy(), expected, atol=1e-4)


def test_the_random_state_of_the_device_is_left_alone() -> None:
    net, x = build(ConvNet).cuda(), inputs()
    before = torch.cuda.get_rng_state()
    GradCAM(net, "conv2")(x, lambda output: output[1] + 0 * torch.rand((), device="cuda"))
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_autocast() -> None:
    net, x = build(ConvNet).cuda(), inputs()
    expected = GradCAM(net, "conv2")(x, 1)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        np.testing.assert_allclose(GradCAM(net, "conv2")(x, 1), expected, atol=0.1)


def test_guided_backprop() -> None:
    net, x = build(ConvNet), inputs()
    expected = GuidedBackpropReLUModel(net)(x, 1)
    np.testing.assert_allclose(GuidedBackpropReLUModel(net.cuda())(x, 1), expected, atol=1e-5)
