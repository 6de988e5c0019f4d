"""Networks explained as they stand: Monte Carlo dropout, batch norms in training mode; several maps of an image."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from helpers.independent_gradients import record
from helpers.methods_for_any_network import ANY_NETWORK, few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import ConvNet, ResidualNet, build, inputs
from helpers.unchanged_model import assert_same_state, state_of
from torch import Tensor, nn
from torch.nn import functional

from pytorch_grad_cam import EigenCAM, GradCAM, RefineCAM, ScoreCAM

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
every_method = pytest.mark.parametrize("method", ANY_NETWORK.values(), ids=ANY_NETWORK)


class DropoutNet(nn.Module):
    """A layer to look at, and half of its channels dropped behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop, self.head = nn.Conv2d(2, 16, 3), nn.Dropout2d(0.5), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.drop(self.conv(x).relu()).mean((2, 3)))
        return out


@pytest.fixture
def net() -> nn.Module:
    """In evaluation mode, but for its dropout."""
    net = build(DropoutNet)
    net.drop.train()
    return net


def raw_by_hand(net: nn.Module, x: Tensor, category: int) -> Tensor:
    """Grad-CAM of the convolution, not rectified, by one pass of the network as it stands."""
    activations = net.conv(x).detach().requires_grad_()
    (net.head(net.drop(activations.relu()).mean((2, 3)))[:, category]).sum().backward()
    assert activations.grad is not None
    return (activations.grad.mean((2, 3), keepdim=True) * activations).sum(1).detach()


def map_by_hand(net: nn.Module, x: Tensor, category: int) -> Tensor:
    raw = raw_by_hand(net, x, category).relu().double()
    low, high = raw.amin((1, 2), keepdim=True), raw.amax((1, 2), keepdim=True)
    scaled = torch.where(high > low, (raw - low) / (high - low).clamp(min=1e-300), 0.0)
    large = functional.interpolate(scaled[:, None], x.shape[2:], mode="bilinear")[:, 0]
    low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
    return torch.where(high > low, (large - low) / (high - low).clamp(min=1e-300), 0.0)


def test_the_network_as_it_stands(net: nn.Module) -> None:
    x = inputs()
    cam = GradCAM(net, "conv", keep_mode=True)
    for seed in (1, 2):
        torch.manual_seed(seed)
        (raw,) = cam.explain(x, 1).raw
        torch.manual_seed(seed)
        torch.testing.assert_close(raw, raw_by_hand(net, x, 1))
    net.drop.eval()
    (raw,) = GradCAM(net, "conv").explain(x, 1).raw
    torch.testing.assert_close(raw, raw_by_hand(net, x, 1))


def test_each_call_draws_anew(net: nn.Module) -> None:
    x = inputs()
    cam, usual = GradCAM(net, "conv", keep_mode=True), GradCAM(net, "conv")
    torch.manual_seed(0)
    first, second = (cam.explain(x, 1).raw[0] for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(cam.explain(x, 1).raw[0], first)
    before = torch.get_rng_state()
    assert np.array_equal(usual(x, 1), usual(x, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert net.drop.training


@every_method
def test_nothing_in_the_network_moves(method: Any) -> None:
    """Neither the flags nor what batch norms count, also where a call fails."""
    net, x = build(ResidualNet).train(), inputs()
    before, buffers = state_of(net), {name: id(buffer) for name, buffer in net.named_buffers()}
    cam = method.load()(net, "norm", keep_mode=True)
    assert cam(x, 1).shape == (2, 11, 14)
    with pytest.raises(IndexError):
        GradCAM(net, "norm", keep_mode=True)(x, 99)
    assert_same_state(before, state_of(net))
    assert buffers == {name: id(buffer) for name, buffer in net.named_buffers()}


def test_a_batch_norm_in_training_mode_normalises_by_the_batch() -> None:
    net, x = build(ResidualNet).train(), inputs()
    net.drop.eval()
    other = copy.deepcopy(net)
    outputs = GradCAM(net, "norm", keep_mode=True).explain(x, 1).outputs
    torch.testing.assert_close(outputs, other(x).detach())
    assert other.norm.num_batches_tracked == 1
    assert net.norm.num_batches_tracked == 0
    assert not torch.allclose(GradCAM(net, "norm").explain(x, 1).outputs, outputs)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_part_that_was_scripted_cannot_be_given_back() -> None:
    norm = torch.jit.script(nn.BatchNorm2d(2))  # type: ignore[no-untyped-call]
    net, x = nn.Sequential(norm, build(ConvNet)), inputs()
    with pytest.raises(ValueError, match=r"TorchScript made is in training mode, .* or leave out keep_mode"):
        GradCAM(net, "1.conv2", keep_mode=True)(x, 1)
    norm.eval()
    GradCAM(net, "1.conv2", keep_mode=True)(x, 1)


def test_a_network_in_training_mode_is_mentioned_once(logged: list[str]) -> None:
    net, x = build(ConvNet), inputs()
    GradCAM(net, "conv2")(x, 1)
    net.act3.train()
    GradCAM(net, "conv2", keep_mode=True)(x, 1)
    assert not logged
    cam = GradCAM(net, "conv2")
    cam(x, 1), cam(x, 1)
    (message,) = logged
    assert "the network is in training mode: a call puts it in evaluation mode and gives" in message


# --- several maps of one image --------------------------------------------------------------------------------------


def test_mean_and_variance_of_samples(net: nn.Module) -> None:
    x = inputs()
    torch.manual_seed(3)
    found = GradCAM(net, "conv", keep_mode=True).explain(x, 1, samples=7)
    torch.manual_seed(3)
    each = torch.stack([map_by_hand(net, x, 1) for _ in range(7)])
    torch.testing.assert_close(found.maps.double(), each.mean(0), atol=1e-5, rtol=1e-5)
    assert found.variance is not None
    assert found.variance.shape == found.maps.shape
    torch.testing.assert_close(found.variance.double(), ((each - each.mean(0)) ** 2).mean(0), atol=1e-5, rtol=1e-4)
    assert found.variance.max() > 0
    torch.manual_seed(3)
    assert np.array_equal(GradCAM(net, "conv", keep_mode=True)(x, 1, samples=7), found.numpy())


def test_evaluation_mode_decides_what_is_explained(net: nn.Module) -> None:
    x = inputs()
    found = GradCAM(net, "conv", keep_mode=True).explain(x, samples=5)
    assert net.drop.training
    net.eval()
    torch.testing.assert_close(found.outputs, net(x).detach())
    assert found.classes == tuple(net(x).argmax(1).tolist())
    assert GradCAM(net, "conv").explain(x).variance is None


@pytest.mark.parametrize("kind", [EigenCAM, ScoreCAM, RefineCAM])
def test_samples_of_other_methods(kind: Any) -> None:
    net, x = build(DropoutNet), inputs()
    plain = kind(net, "conv")(x, 1)
    net.drop.train()
    found = kind(net, "conv", keep_mode=True).explain(x, 1, samples=3)
    assert found.variance is not None
    if kind is EigenCAM:  # looks at nothing behind the layer, so nothing of it is drawn
        np.testing.assert_allclose(found.numpy(), plain, atol=1e-6)
        assert found.variance.max() < 1e-12
    else:
        assert found.variance.max() > 0


def test_samples_in_batches_of_one(net: nn.Module) -> None:
    x = inputs(batch=3)
    net.fixed_batch = 1
    found = GradCAM(net, "conv", keep_mode=True).explain(x, 1, samples=3)
    assert found.variance is not None
    assert found.variance.shape == found.maps.shape == (3, 11, 14)


@pytest.mark.parametrize(
    ("options", "call", "message"),
    [
        ({}, {"samples": 20}, r"samples=20 maps would all be the same: .* give GradCAM\(..., keep_mode=True\)"),
        ({"keep_mode": True}, {"samples": 1}, "samples=1 is no number of maps .* whole number from 2 on"),
        ({"keep_mode": True}, {"samples": 2.5}, "samples=2.5 is no number"),
        ({"keep_mode": True}, {"samples": True}, "samples=True is no number"),
        ({"keep_mode": True}, {"samples": 4, "aug_smooth": True}, "samples and aug_smooth both take a mean"),
    ],
)
def test_samples_that_make_no_sense(net: nn.Module, options: Any, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradCAM(net, "conv", **options).explain(inputs(), 1, **call)
    with pytest.raises(TypeError, match=r"explain_each has no samples; call cam.explain"):
        GradCAM(net, "conv", keep_mode=True).explain_each(inputs(), [1], samples=3)


@pytest.mark.parametrize("size", [None, (5, 20)])
def test_mean_and_variance_of_views(size: Any) -> None:
    net, x = build(ConvNet), inputs()
    cam = GradCAM(net, "conv2")
    found = cam.explain(x, 1, aug_smooth=True, size=size)
    each = [
        view.deaugment_mask(torch.from_numpy(GradCAM(net, "conv2")(view.augment_image(x), 1))[:, None])[:, 0]
        for view in cam.tta_transforms
    ]
    assert found.variance is not None
    assert found.variance.shape == found.maps.shape == (2, *(size or (11, 14)))
    if size is None:
        torch.testing.assert_close(found.maps, torch.stack(each).mean(0), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(found.variance, torch.stack(each).var(0, unbiased=False), atol=1e-6, rtol=1e-4)


# --- activations and gradients --------------------------------------------------------------------------------------


def test_activations_and_gradients_are_handed_out_when_asked_for() -> None:
    net, x = build(ConvNet), inputs()
    layers = ["conv2", "conv3"]
    found = GradCAM(net, layers).explain(x, 1, activations=True)
    want = record(net, layers, x, lambda outputs: outputs[:, 1])
    for index, (activations, grads) in enumerate(zip(found.activations, found.gradients, strict=True)):
        torch.testing.assert_close(activations.double(), torch.from_numpy(want.A[index]), atol=1e-5, rtol=1e-4)
        assert grads is not None
        torch.testing.assert_close(grads.double(), torch.from_numpy(want.G[index]), atol=1e-5, rtol=1e-4)
        assert not activations.requires_grad
        assert not grads.requires_grad
    plain = GradCAM(net, layers).explain(x, 1)
    assert plain.activations == plain.gradients == ()


def test_activations_of_several_targets_batches_and_methods() -> None:
    net, x = build(ConvNet), inputs(batch=3)
    one = GradCAM(net, "conv2").explain(x, 1, activations=True)
    each = GradCAM(net, "conv2").explain_each(x, [1, 2], activations=True)
    assert each.activations[0].shape == (3, 5, 6, 7)
    grads = each.gradients[0]
    assert grads is not None
    assert grads.shape == (3, 2, 5, 6, 7)
    torch.testing.assert_close(grads[:, 0], one.gradients[0])
    assert ScoreCAM(net, "conv2").explain(x, 1, activations=True).gradients == (None,)
    torch.testing.assert_close(RefineCAM(net, "conv2").explain(x, 1, activations=True).activations, one.activations)
    graph = GradCAM(net, "conv2").explain(x, 1, activations=True, differentiable=True)
    assert graph.maps.requires_grad
    assert not graph.activations[0].requires_grad
    net.fixed_batch = 2
    split = GradCAM(net, "conv2").explain(x, 1, activations=True)
    torch.testing.assert_close(split.activations, one.activations)
    torch.testing.assert_close(split.gradients, one.gradients)
