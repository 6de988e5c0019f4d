"""Ours as Captum's programs take it; with Captum itself in test_examples_with.py."""

from __future__ import annotations

import inspect

import pytest
import torch
from helpers.tiny_nets import ConvNet, UNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.integrations.captum import CAMAttribution


def by_hand(net: ConvNet, x: Tensor, classes: list[int]) -> Tensor:
    """Grad-CAM of conv2 at its resolution, signed and not scaled."""
    kept: list[Tensor] = []
    hook = net.conv2.register_forward_hook(lambda module, given, output: kept.append(output))
    outputs = net(x)
    hook.remove()
    scores = outputs[range(len(x)), classes].sum()
    (gradients,) = torch.autograd.grad(scores, kept)
    return (gradients.mean((2, 3), keepdim=True) * kept[0]).sum(1).detach()  # (B, h, w)


def test_signed_unscaled_and_of_the_inputs_shape() -> None:
    net, x = build(ConvNet), inputs()
    wanted = by_hand(net, x, [1, 0])
    attribution = CAMAttribution(GradCAM(net, "conv2"), size=wanted.shape[1:])
    for target in ([1, 0], torch.tensor([1, 0]), [(1,), (0,)]):
        found = attribution.attribute(x, target=target)
        assert found.shape == (2, x.shape[1], *wanted.shape[1:])
        for channel in range(x.shape[1]):
            torch.testing.assert_close(found[:, channel], wanted, rtol=1e-4, atol=1e-6)
    assert CAMAttribution(GradCAM(net, "conv2")).attribute(x, 1).shape == x.shape
    assert CAMAttribution(GradCAM(net, "conv2")).attribute(x, 1, relu=True).min() >= 0


def test_one_target_for_all_and_the_top_class() -> None:
    net, x = build(ConvNet), inputs()
    attribution = CAMAttribution(GradCAM(net, "conv2"))
    assert torch.equal(attribution.attribute(x, torch.tensor([2])), attribution.attribute(x, 2))
    with torch.no_grad():
        top = net(x).argmax(1)
    assert torch.equal(attribution.attribute(x), attribution.attribute(x, top))


def test_a_place_in_an_output_with_axes() -> None:
    net, x = build(UNet), inputs()
    attribution = CAMAttribution(GradCAM(net))
    found = attribution.attribute(x, target=(1, 3, 4))
    maps = GradCAM(net).explain(x, lambda output: output[1, 3, 4], relu=False, normalize="none").maps
    assert torch.equal(found[:, 0], maps)


def test_tuples_as_its_metrics_give_them() -> None:
    attribution = CAMAttribution(GradCAM(build(ConvNet), "conv2"))
    (found,) = attribution.attribute((inputs(),), target=1)
    assert torch.equal(found, attribution.attribute(inputs(), target=1))
    with pytest.raises(ValueError, match="2 inputs, of which a map can be drawn for one"):
        attribution.attribute((inputs(), inputs()), target=1)


def test_further_arguments() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build(ConvNet)

        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            scores: Tensor = self.net(x) * scale[:, None]
            return scores

    net, x = Scaled(), inputs()
    attribution = CAMAttribution(GradCAM(net, "net.conv2"))
    once, thrice = (attribution.attribute(x, 1, torch.tensor([factor, factor])) for factor in (1.0, 3.0))
    torch.testing.assert_close(thrice, 3 * once, rtol=1e-4, atol=1e-6)
    with pytest.raises(TypeError, match=r"holds 3, which is no tensor; give it by its name, as forward_kwargs"):
        attribution.attribute(x, 1, 3)


def test_what_noise_tunnel_asks_for() -> None:
    net = build(ConvNet)
    attribution = CAMAttribution(GradCAM(net, "conv2"))
    assert attribution.forward_func is net
    assert not attribution.has_convergence_delta()
    assert not attribution.multiplies_by_inputs
    unbound = attribution.attribute.__wrapped__  # type: ignore[attr-defined]
    assert torch.equal(unbound(attribution, inputs(), target=1), attribution.attribute(inputs(), target=1))
    assert list(inspect.signature(attribution.attribute).parameters)[:2] == ["inputs", "target"]
