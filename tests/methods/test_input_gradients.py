"""Methods that look at the input: closed forms, central differences and NumPy texts in float64."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import again
from helpers.shortcuts import blank, unit_range
from helpers.tiny_nets import SIZES, ConvNet, TinyViT, UNet, build, frozen, inputs
from torch import Tensor, nn

from pytorch_grad_cam import (
    RISE,
    GuidedBackpropReLUModel,
    GuidedGradCAM,
    IntegratedGradients,
    SmoothGrad,
    VanillaGradient,
    VarGrad,
)

pytestmark = pytest.mark.again

FEW = functools.partial(RISE, num_samples=40)
ALL = (VanillaGradient, SmoothGrad, VarGrad, IntegratedGradients, FEW)


def only(output: Tensor) -> Tensor:
    """The target of a network with one number per image."""
    return output[0]


every_ndim = pytest.mark.parametrize("ndim", SIZES)


class Polynomial(nn.Module):
    """One score per image: sum of a x + b x^2 + c x^3, whose gradient and integral can be written down."""

    def __init__(self, ndim: int, *degrees: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.degrees = degrees
        self.factors = nn.Parameter(torch.randn(len(degrees), 2, *SIZES[ndim], generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        terms = [factor * x**degree for factor, degree in zip(self.factors, self.degrees, strict=True)]
        return torch.stack(terms).sum(0).flatten(1).sum(1, keepdim=True)

    def gradient(self, x: Any) -> np.ndarray:
        return sum(f * d * x ** (d - 1) for f, d in zip(self.array, self.degrees, strict=True))

    def score(self, x: Any) -> np.ndarray:
        return sum(f * x**d for f, d in zip(self.array, self.degrees, strict=True))

    @property
    def array(self) -> np.ndarray:
        return self.factors.detach().double().numpy()


def slopes(score: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> np.ndarray:
    """Central differences of the score of one image (C, *S) by each of its values."""
    moves = step * torch.eye(x.numel(), dtype=torch.float64).reshape(-1, *x.shape)
    with torch.no_grad():
        rise = score(x.double() + moves) - score(x.double() - moves)
    return (rise / (2 * step)).reshape(x.shape).numpy()


def noise_of(shape: tuple[int, ...], count: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(count, *shape))


# -- closed forms
@every_ndim
def test_a_linear_network_has_its_weights_as_gradient(ndim: int) -> None:
    net, x = Polynomial(ndim, 1), inputs(ndim)
    weights = np.broadcast_to(net.array[0], x.shape)
    for method in (VanillaGradient(net), SmoothGrad(net), SmoothGrad(net, mode="signed")):
        np.testing.assert_allclose(method.attributions(x, only), weights, rtol=1e-5)
    np.testing.assert_allclose(SmoothGrad(net, mode="squared").attributions(x, only), weights**2, rtol=1e-5)
    np.testing.assert_allclose(VanillaGradient(net)(x, only), unit_range(np.abs(weights).max(1)), atol=1e-6)
    np.testing.assert_allclose(SmoothGrad(net, mode="squared")(x, only), unit_range((weights**2).sum(1)), atol=1e-6)
    signed = VanillaGradient(net, mode="signed").explain(x, only, relu=False, normalize="none").maps
    np.testing.assert_allclose(signed, weights.sum(1), atol=1e-6)
    assert signed.min() < 0
    found = IntegratedGradients(net, steps=1).attributions(x, only)
    np.testing.assert_allclose(found, weights * x.numpy(), atol=1e-5)
    with blank():
        assert not VarGrad(net).explain(x, only).maps.any()


@every_ndim
@pytest.mark.parametrize("mode", ["absolute", "signed", "squared"])
def test_smoothgrad_is_the_mean_over_noisy_copies(ndim: int, mode: Any) -> None:
    net, x = Polynomial(ndim, 2, 3).double(), inputs(ndim).double()
    noise = noise_of(tuple(x.shape[1:]), 5)
    each = np.stack([net.gradient(x.numpy() + one) for one in noise])
    expected = (each**2 if mode == "squared" else each).mean(0)
    cam = SmoothGrad(net, mode=mode, num_samples=5, batch_size=2, noise=lambda image, i: torch.from_numpy(noise[i]))
    np.testing.assert_allclose(cam.attributions(x, only), expected, rtol=1e-10)
    map = np.abs(expected).max(1) if mode == "absolute" else expected.sum(1)
    np.testing.assert_allclose(cam.explain(x, only, relu=False, normalize="none").maps, map, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(cam(x, only), unit_range(np.maximum(map, 0)), atol=1e-6)


@every_ndim
def test_vargrad_is_the_variance_over_noisy_copies(ndim: int) -> None:
    net, x = Polynomial(ndim, 2, 3).double(), inputs(ndim).double()
    noise = noise_of(tuple(x.shape[1:]), 7)
    expected = np.stack([net.gradient(x.numpy() + one) for one in noise]).var(0)
    for size in (1, 3, 16):
        cam = VarGrad(net, num_samples=7, batch_size=size, noise=lambda image, i: torch.from_numpy(noise[i]))
        np.testing.assert_allclose(cam.attributions(x, only), expected, rtol=1e-9)
    np.testing.assert_allclose(cam(x, only), unit_range(expected.sum(1)), atol=1e-6)


def test_the_variance_does_not_cancel() -> None:
    """A gradient of 1e3 that varies by 1e-2: float32 squares hold 7 digits, too few for their difference."""
    net, x = Polynomial(2, 1, 2), inputs()
    net.factors.data[0], net.factors.data[1] = 1e3, 0.5  # g = 1e3 + x + e
    noise = 1e-2 * noise_of(tuple(x.shape[1:]), 20)
    found = VarGrad(net, num_samples=20, noise=lambda image, i: torch.from_numpy(noise[i])).attributions(0 * x, only)
    np.testing.assert_allclose(found[0], noise.var(0), rtol=0.3)


@every_ndim
def test_the_noise_is_a_share_of_each_images_range(ndim: int) -> None:
    net, x = (
        Polynomial(ndim, 2).double(),
        inputs(ndim).double() * torch.tensor([1.0, 5.0]).reshape(2, *[1] * (ndim + 1)),
    )
    cam = SmoothGrad(net, noise_level=0.2, num_samples=1, seed=4)
    added = cam.attributions(x, only).numpy() / net.gradient(1.0) - x.numpy()
    drawn = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(4)).numpy()
    for image, found in zip(x.numpy(), added, strict=True):
        np.testing.assert_allclose(found, 0.2 * np.ptp(image) * drawn, rtol=1e-5, atol=1e-9)
    quiet = SmoothGrad(net, noise_level=0, num_samples=3)
    np.testing.assert_allclose(quiet.attributions(x, only), VanillaGradient(net).attributions(x, only), rtol=1e-12)


@every_ndim
@pytest.mark.parametrize("baseline", [0.0, -1.5, "image", "batch"])
def test_integrated_gradients_of_a_cubic_are_exact_with_two_steps(ndim: int, baseline: Any) -> None:
    net, x = Polynomial(ndim, 1, 2, 3).double(), inputs(ndim).double()
    start = {"image": inputs(ndim, 1, seed=9)[0], "batch": inputs(ndim, seed=9)}.get(baseline, baseline)
    expected = net.score(x.numpy()) - net.score(np.asarray(start, dtype=float))
    cam = IntegratedGradients(net, baseline=start, steps=2)
    np.testing.assert_allclose(cam.attributions(x, only), expected, atol=1e-10)
    np.testing.assert_allclose(cam(x, only), unit_range(np.maximum(expected.sum(1), 0)), atol=1e-6)
    found = cam.explain(x, only, relu=False)
    assert found.notes == ((), ())
    assert found.maps.min() < 0


# -- networks
@pytest.mark.parametrize("ndim", [1, 2, *again(3)])
def test_the_gradient_is_that_of_central_differences(ndim: int) -> None:
    net, x = build(ConvNet, ndim, seed=2).double(), inputs(ndim).double()
    noise = 0.3 * noise_of(tuple(x.shape[1:]), 3)
    plain, smooth = VanillaGradient(net), SmoothGrad(net, num_samples=3, noise=lambda _, i: torch.from_numpy(noise[i]))
    for index, image in enumerate(x):
        score = functools.partial(lambda changed, index: net(changed)[:, index], index=index)
        np.testing.assert_allclose(plain.attributions(x, [0, 1])[index], slopes(score, image), atol=1e-7)
        expected = np.mean([slopes(score, image + torch.from_numpy(one)) for one in noise], axis=0)
        np.testing.assert_allclose(smooth.attributions(x, [0, 1])[index], expected, atol=1e-7)


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_completeness() -> None:
    net, x = build(TinyViT).double(), inputs(size=TinyViT.size).double()
    total = IntegratedGradients(net).attributions(x, 1).flatten(1).sum(1)
    with torch.no_grad():
        torch.testing.assert_close(total, (net(x) - net(0 * x))[:, 1], rtol=1e-6, atol=0)
    kinked = build(ConvNet, seed=2).double()
    with torch.no_grad():
        wanted = (kinked(inputs().double()) - kinked(0 * inputs().double()))[:, 1]
    gaps = []
    for steps in (1, 200):
        cam = IntegratedGradients(kinked, steps=steps)
        total = cam.attributions(inputs().double(), 1).flatten(1).sum(1)
        gaps.append(((wanted - total).abs() / torch.maximum(wanted.abs(), total.abs())).tolist())
        for said, gap in zip(cam.explain(inputs(), 1).notes, gaps[-1], strict=True):
            assert said[:1] == (
                (f"the attributions miss {gap:.0%} of the difference in score; more steps come closer",)
                if gap > 0.01
                else ()
            )
    assert max(gaps[0]) > 0.01 > max(gaps[1])


def test_the_class_is_that_of_the_clean_image() -> None:
    net, x = build(ConvNet, seed=2), inputs(batch=4)
    with torch.no_grad():
        outputs = net(x)
    top = outputs.argmax(1)
    for method in ALL:
        cam = method(net)
        found = cam.explain(x)
        assert found.classes == tuple(top.tolist())
        torch.testing.assert_close(found.scores, outputs.amax(1))
        torch.testing.assert_close(found.outputs, outputs)
        torch.testing.assert_close(cam.attributions(x), cam.attributions(x, top), rtol=0, atol=0)
        assert found.layers == ("input",)
        assert not any(tensor.requires_grad for tensor in (found.maps, found.scores, found.outputs, *found.raw))


@pytest.mark.filterwarnings("ignore:.*not every map means something")
@pytest.mark.parametrize("method", [SmoothGrad, VarGrad, IntegratedGradients, FEW])
def test_memory_follows_batch_size_and_parameters_take_no_part(method: Any) -> None:
    net, x, rows, touched = build(ConvNet), inputs(batch=3), [], []
    expected = method(frozen(net)).explain(x, 1).raw[0]
    net.register_forward_pre_hook(lambda module, args: rows.append(len(args[0])))
    for parameter in net.parameters():
        parameter.register_hook(touched.append)
    cam = method(net, batch_size=4)
    torch.testing.assert_close(cam.explain(x, 1).raw[0], expected, rtol=1e-4, atol=1e-6)
    count = cam.steps if method is IntegratedGradients else cam.num_samples
    assert max(rows) <= 4
    assert sum(rows) == 3 * count + 3 * (2 if method is IntegratedGradients else 1)  # all at once: the clean, the blank
    assert not touched


@pytest.mark.parametrize("method", ALL)
def test_views_are_turned_back_for_dense_targets(method: Any) -> None:
    net, x = build(UNet, seed=1), inputs()
    half = x.shape[-1] // 2
    cam = method(net)
    plain, mirrored = (lambda out: out[1, :, :half].sum()), (lambda out: out[1, :, -half:].sum())
    each = [cam(x * factor, plain) for factor in (1.0, 0.9, 1.1)]
    each += [cam(x.flip(-1) * factor, mirrored)[..., ::-1] for factor in (1.0, 0.9, 1.1)]
    np.testing.assert_allclose(cam(x, plain, aug_smooth=True), np.mean(each, 0), atol=1e-4)


def test_a_network_without_gradients_says_so() -> None:
    class Detached(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(x)

    net = build(Detached)
    for method in (VanillaGradient, SmoothGrad, IntegratedGradients):
        with blank():
            found = method(net).explain(inputs(), 1)
        assert not found.maps.any()
        assert all("runs without gradients" in said[-1] for said in found.notes)


def test_principal_component_of_the_channels() -> None:
    net, x = build(ConvNet), inputs()
    values = VanillaGradient(net).attributions(x, 1)[0].double().numpy()
    rows = values.reshape(2, -1) - values.reshape(2, -1).mean(1, keepdims=True)
    _, sigma, vectors = np.linalg.svd(rows, full_matrices=False)
    wanted = sigma[0] * vectors[0] * np.sign(vectors[0] @ rows.sum(0))
    found = VanillaGradient(net).explain(x, 1, eigen_smooth=True).raw[0][0]
    np.testing.assert_allclose(found.flatten(), wanted, atol=1e-5 * np.abs(wanted).max())
    gray = VanillaGradient(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    np.testing.assert_array_equal(gray(x[:, :1], 0, eigen_smooth=True), gray(x[:, :1], 0))


# -- what goes in and what is refused
def test_half_precision_is_summed_in_float32() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        net, x = build(ConvNet).to(dtype), inputs()
        for method in ALL:
            values = method(net).attributions(x, 1)
            assert values.dtype == torch.float32
            assert values.isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda net: SmoothGrad(net, mode="mean"), "mode='mean' is unknown; choose one of 'absolute'"),
        (lambda net: VanillaGradient(net, mode="squared"), "mode='squared' is unknown"),
        (lambda net: SmoothGrad(net, noise_level=-0.1), "noise_level=-0.1 is too small; give at least 0"),
        (lambda net: SmoothGrad(net, num_samples=0), "num_samples=0 is too small; give at least 1"),
        (lambda net: VarGrad(net, num_samples=1), "num_samples=1 is too small; give at least 2"),
        (lambda net: IntegratedGradients(net, steps=0), "steps=0 is too small"),
        (lambda net: RISE(net, batch_size=0), "batch_size=0 is no number of images"),
        (lambda net: RISE(net, probability=1), "probability=1 leaves nothing to chance"),
        (lambda net: IntegratedGradients(net, baseline=torch.zeros(3, 11))(inputs()), r"baseline \(3, 11\) does not"),
    ],
)
def test_messages(make: Callable[[nn.Module], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(build(ConvNet))


def test_other_inputs_of_the_model_go_along() -> None:
    """A scale per image beside the picture: chunks of versions of an image get that image's."""

    class Scaled(ConvNet):
        def forward(self, x: Tensor, scale: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x * scale.reshape(-1, 1, 1, 1))

    net, x, scale = build(Scaled), inputs(batch=3), torch.tensor([0.5, 1.0, 2.0])
    for method in ALL:
        cam = method(net)
        alone = [cam.attributions((x[i : i + 1], scale[i : i + 1]), 1)[0] for i in range(3)]
        torch.testing.assert_close(cam.attributions((x, scale), 1), torch.stack(alone), rtol=1e-4, atol=1e-6)


def test_a_network_that_views_its_features_as_rows() -> None:
    """``Tensor.view`` takes no other memory layout than the one the network was written for."""

    class Viewed(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            features = self.act3(self.conv3(self.features(x)))
            return self.head(features.view(len(x), 6, -1).mean(2)) + x.view(len(x), -1).sum(1, keepdim=True)

    net = build(Viewed)
    for method in ALL:
        assert method(net).attributions(inputs(), 1).isfinite().all()


def test_relu_rules() -> None:
    net, x = build(ConvNet), inputs()
    guided = VanillaGradient(net, relu_rule="guided").attributions(x, 1)
    torch.testing.assert_close(guided, GuidedBackpropReLUModel(net).gradients(x, 1))
    torch.testing.assert_close(guided, SmoothGrad(net, noise_level=0, relu_rule="guided").attributions(x, 1))


def test_maps_that_cannot_be_differentiated() -> None:
    net = build(ConvNet)
    for cam in (VanillaGradient(net), GuidedGradCAM(net, "conv2")):
        with pytest.raises(ValueError, match="cannot be differentiated"):
            cam.explain(inputs(), 1, differentiable=True)


def test_whole_numbers_have_no_gradient() -> None:
    with pytest.raises(TypeError, match=r"an input of type torch.int64 has no gradient"):  # of no parameters either
        VanillaGradient(nn.Flatten())(torch.ones(1, 2, 11, 14, dtype=torch.int64), 0)


def test_nonfinite_gradients_are_refused_or_counted_as_zero() -> None:
    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sqrt().flatten(2).mean(2)

    x = torch.rand(2, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    x[1, 0, 2, 3] = 0
    with pytest.raises(ValueError, match="attributions of the input contain NaN or infinity for image 1"):
        VanillaGradient(Root())(x, 0)
    with blank():
        found = VanillaGradient(Root()).explain(x, 0, allow_nonfinite=True)
    assert found.maps.isfinite().all()
    assert found.notes[0] == ()
    assert "counted as 0" in found.notes[1][0]
