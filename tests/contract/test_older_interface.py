"""How code written for the package grad-cam calls and overrides a method: forward, its steps, recorded activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.methods_for_any_network import few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import ConvNet, ResidualNet, build, frozen, inputs
from torch import Tensor
from torch.nn import functional as F

from pytorch_grad_cam import ActivationsAndGradients, GradCAM, ScoreCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.engine.image_model import ImageModel

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
RAW: dict[str, Any] = {"relu": False, "normalize": "none"}


"""Code written for the package grad-cam."""


def test_forward_is_honoured() -> None:
    class Doubled(GradCAM):
        def forward(self, input_tensor: Tensor, targets: Any, eigen_smooth: bool = False) -> Any:
            return super().forward(input_tensor, targets, eigen_smooth) / 2

    net, x = build(ConvNet), inputs()
    np.testing.assert_allclose(Doubled(net, ["conv2"])(x, 1), GradCAM(net, "conv2")(x, 1) / 2, rtol=1e-4)
    smooth = GradCAM(net, "conv2")(x, 1, aug_smooth=True)
    np.testing.assert_allclose(Doubled(net, ["conv2"])(x, 1, aug_smooth=True), smooth / 2, atol=1e-6)


def test_steps_are_honoured() -> None:
    class Largest(GradCAM):
        def aggregate_multi_layers(self, cam_per_target_layer: Any) -> Any:
            assert [each.shape for each in cam_per_target_layer] == [(2, 1, 11, 14)] * 2
            return np.max(np.concatenate(cam_per_target_layer, 1), 1)

    class Squared(GradCAM):
        def compute_cam_per_layer(self, input_tensor: Tensor, targets: Any, eigen_smooth: bool) -> Any:
            return [each**2 for each in super().compute_cam_per_layer(input_tensor, targets, eigen_smooth)]

    net, x = build(ConvNet), inputs()
    raws = GradCAM(net, ["conv2", "conv3"]).explain(x, 1).raw
    small = [raw.relu() / raw.relu().amax((1, 2), keepdim=True) for raw in raws]  # their minimum is 0
    assert all(float(one.amin((1, 2)).max()) == 0 for one in small)
    each = [F.interpolate(one[:, None], (11, 14), mode="bilinear")[:, 0].numpy() for one in small]
    np.testing.assert_allclose(Largest(net, ["conv2", "conv3"])(x, 1), np.maximum(*each), atol=1e-6)
    single = Squared(net, ["conv2"])(x, 1)
    expected = np.stack([(one - one.min()) / np.ptp(one) for one in each[0] ** 2])
    np.testing.assert_allclose(single, expected, atol=1e-5)


def test_a_forward_of_ones_own() -> None:
    class Own(GradCAM):
        def forward(self, input_tensor: Tensor, targets: Any, eigen_smooth: bool = False) -> Any:
            outputs = self.activations_and_grads(input_tensor)
            loss = sum(target(output) for target, output in zip(targets, outputs, strict=True))
            loss.backward(retain_graph=True)
            assert self.get_target_width_height(input_tensor) == (14, 11)
            layers = self.compute_cam_per_layer(input_tensor, targets, eigen_smooth)
            return self.aggregate_multi_layers(layers)

    net, x = build(ResidualNet), inputs()
    targets = [lambda output: output[1]] * 2
    for layers in (["norm"], ["norm", "tail"]):
        np.testing.assert_allclose(Own(net, layers)(x, targets), GradCAM(net, layers)(x, 1), atol=1e-6)


def test_activations_and_gradients_used_directly() -> None:
    net, x = build(ConvNet), inputs()
    expected = GradCAM(net, "conv2").explain(x, 1, **RAW)
    record = ActivationsAndGradients(net, [net.conv2, net.conv3], None)
    scores = record(x)
    scores[:, 1].sum().backward()
    weights = record.gradients[0].mean((2, 3))
    torch.testing.assert_close(weights, expected.weights[0])
    assert [tuple(each.shape) for each in record.activations] == [(2, 5, 6, 7), (2, 6, 6, 7)]
    assert len(record.gradients) == 2
    record.release()
    assert not record.activations
    assert not record.gradients


def test_gradient_of_the_input_for_overrides() -> None:
    seen: list[Tensor] = []

    class Input(GradCAM):
        def get_cam_weights(self, input_tensor: Any, target_layers: Any, *rest: Any) -> Any:  # type: ignore[override]
            seen.append(input_tensor.grad)
            return np.mean(rest[-1], axis=(2, 3))

    net, x = build(ConvNet), inputs()
    Input(frozen(net), ["conv2"], None, True)(x, 1)
    leaf = x.clone().requires_grad_()
    net(leaf)[:, 1].sum().backward()
    torch.testing.assert_close(seen[0], leaf.grad)
    assert x.grad is None


def test_activations_with_their_graph_for_overrides() -> None:
    seen: list[bool] = []

    class Second(GradCAM):
        def get_cam_weights(self, input_tensor: Any, *rest: Any) -> Any:  # type: ignore[override]
            activations, grads = rest[-2:]
            seen.append(activations.requires_grad and grads.requires_grad)
            return grads.mean((2, 3))

    net, x = build(ConvNet), inputs()
    found = Second(net, ["conv2"], detach=False)(x, lambda output: output[1] ** 2)
    np.testing.assert_allclose(found, GradCAM(net, "conv2")(x, lambda output: output[1] ** 2), atol=1e-6)
    assert seen == [True]


def test_no_state_is_kept() -> None:
    net, x = build(ConvNet), inputs()
    cam = ScoreCAM(net, "conv2")
    cam(x, 1)
    cam.release()
    assert cam.activations_and_grads.activations == []
    assert not [name for name, value in vars(cam).items() if isinstance(value, (Call, ImageModel))]
