"""Guided Grad-CAM: the product of guided backpropagation and the map of a method."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.shortcuts import blank, unit_range
from helpers.tiny_nets import SIZES, ConvNet, TinyViT, build, inputs
from torch import Tensor

from pytorch_grad_cam import (
    EigenCAM,
    GradCAM,
    GuidedGradCAM,
    LayerCAM,
)

every_ndim = pytest.mark.parametrize("ndim", SIZES)


class GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(z)
        return z.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return grad.clamp_min(0) * (ctx.saved_tensors[0] > 0)


@every_ndim
@pytest.mark.parametrize("method", [GradCAM, LayerCAM, EigenCAM])
def test_guided_gradcam_is_the_product(ndim: int, method: Any) -> None:
    net, x = build(ConvNet, ndim, seed=1), inputs(ndim)
    leaf = x.clone().requires_grad_()
    z = net.conv2(GuidedReLU.apply(net.conv1(leaf)))
    out = net.head(GuidedReLU.apply(net.conv3(GuidedReLU.apply(z))).flatten(2).mean(2))
    (guided,) = torch.autograd.grad(out[:, 1].sum(), leaf)
    base = method(net, "conv2").explain(x, 1)
    cam = GuidedGradCAM(net, "conv2", method=method)
    product = guided * base.maps[:, None]
    torch.testing.assert_close(cam.attributions(x, 1), product)
    found = cam.explain(x, 1)
    np.testing.assert_allclose(found.maps, unit_range(product.abs().amax(1).double().numpy()), atol=1e-5)
    assert found.layers == ("conv2",)
    assert found.classes == (1, 1)
    assert torch.equal(found.raw[0], base.raw[0])
    signed = cam.explain(x, 1, relu=False, normalize="none").maps
    plain = method(net, "conv2").explain(x, 1, relu=False, normalize="none").maps
    torch.testing.assert_close(signed, guided.abs().amax(1) * plain)


def test_guided_gradcam_without_relu() -> None:
    net, x = build(TinyViT), inputs(size=TinyViT.size)
    cam = GuidedGradCAM(net, net.patches)
    with blank():
        found = cam.explain(x, 1, size=(4, 5))
    assert found.maps.shape == (2, 4, 5)
    assert all("there is none between" in said[-1] for said in found.notes)
    with pytest.raises(ValueError, match="there is none between"):
        cam.attributions(x, 1)
