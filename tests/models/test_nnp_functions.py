"""Every function of a .nnp network against an independent computation in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.nnp_files import dims, one_function, write_nnp
from numpy.typing import NDArray
from torch import nn

from pytorch_grad_cam.models.nnp import NnpNetwork, load_nnp
from pytorch_grad_cam.models.nnp.build import FUNCTIONS

Array = NDArray[Any]


def build(path: Path, kind: str, shape: Sequence[int], param: str, weights: Sequence[Array], **more: Any) -> NnpNetwork:
    text, named = one_function(kind, shape, param, weights, **more)
    model = load_nnp(write_nnp(path / "a.nnp", text, named)).model
    assert isinstance(model, NnpNetwork)
    return model


def check(
    path: Path, kind: str, x: Array, expected: Array, param: str = "", weights: Any = (), **more: Any
) -> nn.Module:
    """Compare for the whole batch and for its first image alone."""
    model = build(path, kind, x.shape[1:], param, weights, **more)
    for rows in (slice(None), slice(1)):
        found = model(torch.tensor(x[rows], dtype=torch.float32)).detach().numpy()
        assert found.shape == expected[rows].shape
        np.testing.assert_allclose(found, expected[rows], rtol=2e-5, atol=2e-6)
    assert model.output_shape == expected.shape[1:]
    return model.get_submodule(model.variables["y"])


def draw(*shape: int, seed: int = 0) -> Array:
    """Return numbers that float32 holds exactly, so that weights lose nothing in the file."""
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32).astype(np.float64)


# --- convolutions ---------------------------------------------------------------------------------------------------


def convolved(x: Array, weight: Array, bias: Array, stride: Any, pad: Any, dilation: Any, group: int) -> Array:
    """The definition, one product at a time."""
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pad)])
    space = [
        (length - d * (k - 1) - 1) // s + 1
        for length, k, s, d in zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)
    ]
    y = np.zeros((len(x), weight.shape[0], *space))
    per_group_in, per_group_out = weight.shape[1], weight.shape[0] // group
    for out in range(weight.shape[0]):
        for place in itertools.product(*map(range, space)):
            for inner in range(per_group_in):
                source = (out // per_group_out) * per_group_in + inner
                for tap in itertools.product(*map(range, weight.shape[2:])):
                    at = tuple(i * s + j * d for i, s, j, d in zip(place, stride, tap, dilation, strict=True))
                    y[(slice(None), out, *place)] += weight[(out, inner, *tap)] * x[(slice(None), source, *at)]
        y[:, out] += bias[out]
    return y


def spread(x: Array, weight: Array, bias: Array, stride: Any, pad: Any, dilation: Any, group: int, more: Any) -> Array:
    """The transposed convolution: every value adds its kernel to the output."""
    full = [
        (length - 1) * s + d * (k - 1) + 1 + m
        for length, k, s, d, m in zip(x.shape[2:], weight.shape[2:], stride, dilation, more, strict=True)
    ]
    outputs = weight.shape[1]
    y = np.zeros((len(x), outputs * group, *full))
    for source in range(x.shape[1]):
        first = source // (x.shape[1] // group) * outputs
        for place in itertools.product(*map(range, x.shape[2:])):
            for inner in range(outputs):
                for tap in itertools.product(*map(range, weight.shape[2:])):
                    at = tuple(i * s + j * d for i, s, j, d in zip(place, stride, tap, dilation, strict=True))
                    y[(slice(None), first + inner, *at)] += (
                        weight[(source, inner, *tap)] * x[(slice(None), source, *place)]
                    )
    y = y[(slice(None), slice(None), *(slice(p, length - p) for p, length in zip(pad, full, strict=True)))]
    return y + bias.reshape(-1, *[1] * (x.ndim - 2))


def arguments(name: str, stride: Any, pad: Any, dilation: Any, more: str = "group: 1") -> str:
    return f"{name} {{ base_axis: 1 {dims('pad', pad)} {dims('stride', stride)} {dims('dilation', dilation)} {more} }}"


@pytest.mark.parametrize(
    ("space", "kernel", "stride", "pad", "dilation", "group"),
    [
        ((7,), (3,), (2,), (1,), (1,), 1),
        ((6, 5), (3, 2), (1, 2), (0, 1), (1, 1), 1),
        ((7, 7), (3, 3), (1, 1), (2, 2), (2, 2), 2),
        ((4, 3, 5), (2, 1, 3), (1, 1, 2), (1, 0, 1), (1, 1, 1), 2),
    ],
)
def test_convolution(space: Any, kernel: Any, stride: Any, pad: Any, dilation: Any, group: int, tmp_path: Path) -> None:
    x, weight, bias = draw(2, 4, *space), draw(6, 4 // group, *kernel, seed=1), draw(6, seed=2)
    expected = convolved(x, weight, bias, stride, pad, dilation, group)
    param = arguments("convolution_param", stride, pad, dilation, f"group: {group}")
    layer = check(tmp_path, "Convolution", x, expected, param, [weight, bias])
    assert type(layer) is (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(space) - 1]
    without = check(tmp_path, "Convolution", x, expected - bias.reshape(-1, *[1] * len(space)), param, [weight])
    assert without.bias is None


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolution(multiplier: int, tmp_path: Path) -> None:
    x, weight, bias = draw(2, 3, 6, 6), draw(3 * multiplier, 3, 3, seed=1), draw(3 * multiplier, seed=2)
    # channel by channel, the outputs of a channel next to each other
    parts = [
        convolved(x[:, c : c + 1], weight[o : o + 1, None], bias[o : o + 1], (2, 1), (1, 0), (1, 1), 1)
        for c in range(3)
        for o in range(c * multiplier, (c + 1) * multiplier)
    ]
    param = arguments("depthwise_convolution_param", (2, 1), (1, 0), (1, 1), f"multiplier: {multiplier}")
    layer = check(tmp_path, "DepthwiseConvolution", x, np.concatenate(parts, 1), param, [weight, bias])
    assert isinstance(layer, nn.Conv2d)


@pytest.mark.parametrize(
    ("space", "kernel", "stride", "pad", "dilation", "more", "group"),
    [
        ((4,), (3,), (2,), (1,), (1,), (1,), 1),
        ((3, 4), (3, 2), (2, 1), (1, 0), (1, 2), (0, 0), 2),
        ((2, 3, 2), (2, 2, 2), (1, 2, 1), (0, 1, 0), (1, 1, 1), (0, 0, 0), 1),
    ],
)
def test_deconvolution(
    space: Any, kernel: Any, stride: Any, pad: Any, dilation: Any, more: Any, group: int, tmp_path: Path
) -> None:
    x, weight, bias = draw(2, 4, *space), draw(4, 3, *kernel, seed=1), draw(3 * group, seed=2)
    # output padding widens the far end only: it is cut off from the pad there
    expected = spread(x, weight, bias, stride, pad, dilation, group, more)
    given = arguments("deconvolution_param", stride, pad, dilation, f"group: {group} {dims('output_padding', more)}")
    layer = check(tmp_path, "Deconvolution", x, expected, given, [weight, bias])
    assert type(layer) is (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[len(space) - 1]


def test_depthwise_deconvolution(tmp_path: Path) -> None:
    x, weight, bias = draw(2, 4, 3, 3), draw(4, 2, 2, seed=1), draw(2, seed=2)
    expected = spread(x, weight[:, None], bias, (2, 2), (0, 0), (1, 1), 2, (0, 0))  # two channels make one
    param = arguments("depthwise_deconvolution_param", (2, 2), (0, 0), (1, 1), "divisor: 2")
    check(tmp_path, "DepthwiseDeconvolution", x, expected, param, [weight, bias])


# --- affine, normalization ------------------------------------------------------------------------------------------


def test_affine(tmp_path: Path) -> None:
    x, weight, bias = draw(3, 5), draw(5, 2, seed=1), draw(2, seed=2)
    layer = check(tmp_path, "Affine", x, x @ weight + bias, "affine_param { base_axis: 1 }", [weight, bias])
    assert type(layer) is nn.Linear
    x, weight = draw(3, 2, 3, 2), draw(12, 4, seed=1)
    layer = check(tmp_path, "Affine", x, x.reshape(3, 12) @ weight, "affine_param { base_axis: 1 }", [weight])
    assert isinstance(layer, nn.Linear)


def test_affine_over_the_last_axes_with_several_results(tmp_path: Path) -> None:
    x, weight, bias = draw(3, 2, 3, 2), draw(6, 4, 5, seed=1), draw(4, 5, seed=2)
    expected = np.einsum("bcd,dkl->bckl", x.reshape(3, 2, 6), weight) + bias
    check(tmp_path, "Affine", x, expected, "affine_param { base_axis: 2 }", [weight, bias])


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2), (4, 2, 3, 2)])
def test_batch_normalization(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = draw(3, *shape)
    sizes = (1, 4, *[1] * (len(shape) - 1))
    beta, gamma, mean = (draw(*sizes, seed=seed) for seed in (1, 2, 3))
    var = np.abs(draw(*sizes, seed=4)) + np.float32(0.1)
    expected = (x - mean) / np.sqrt(var + 1e-3) * gamma + beta
    param = "batch_normalization_param { axes: 1 decay_rate: 0.9 eps: 0.001 }"
    layer = check(tmp_path, "BatchNormalization", x, expected, param, [beta, gamma, mean, var])
    assert isinstance(layer, nn.modules.batchnorm._BatchNorm)
    plain = (x - mean) / np.sqrt(var + 1e-3)
    alone = param.replace("axes", "no_scale: true no_bias: true axes")
    check(tmp_path, "BatchNormalization", x, plain, alone, [mean, var])


def test_batch_normalization_over_other_axes(tmp_path: Path) -> None:
    x = draw(2, 3, 2, 4)
    beta, gamma, mean = (draw(1, 1, 1, 4, seed=seed) for seed in (1, 2, 3))
    var = np.abs(draw(1, 1, 1, 4, seed=4))
    expected = (x - mean) / np.sqrt(var + 1e-5) * gamma + beta
    param = "batch_normalization_param { axes: 3 eps: 1e-05 }"
    check(tmp_path, "BatchNormalization", x, expected, param, [beta, gamma, mean, var])


def test_batch_normalization_of_a_training_network(tmp_path: Path, logged: list[str]) -> None:
    x, one = draw(3, 2, 4, 4), np.ones((1, 2, 1, 1))
    param = "batch_normalization_param { axes: 1 eps: 1e-05 batch_stat: true }"
    model = build(tmp_path, "BatchNormalization", (2, 4, 4), param, [0 * one, one, 9 * one, 9 * one])
    found = model(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    mean, var = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(var + 1e-5), atol=1e-5)
    assert "y: normalized by the statistics of the batch at hand" in "".join(logged)


# --- pooling --------------------------------------------------------------------------------------------------------


def pooled(x: Array, kernel: Any, stride: Any, pad: Any, ignore: bool, how: str, whole: bool = False) -> Array:
    """nnabla's rule window by window: which start there are, and what of each lies inside."""
    axes = len(kernel)
    size = x.shape[-axes:]
    count = [
        (length + p - (k - p if ignore else 1)) // s + 1
        for length, k, s, p in zip(size, kernel, stride, pad, strict=True)
    ]
    y = np.zeros((*x.shape[:-axes], *count))
    for place in itertools.product(*map(range, count)):
        starts = [i * s - p for i, s, p in zip(place, stride, pad, strict=True)]
        ends = [min(start + k, n + p) for start, k, n, p in zip(starts, kernel, size, pad, strict=True)]
        inside = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(starts, ends, size, strict=True))
        window = x[(..., *inside)]
        space = tuple(range(-axes, 0))
        if how == "max":
            value = window.max(space)
        else:
            value = window.sum(space)
            if how == "mean":
                value = value / (
                    math.prod(b - a for a, b in zip(starts, ends, strict=True))
                    if whole
                    else math.prod(each.stop - each.start for each in inside)
                )
        y[(..., *place)] = value
    return y


def pooling(name: str, kernel: Any, stride: Any, pad: Any, ignore: bool, whole: bool) -> str:
    flags = "ignore_border: true " * ignore + "including_pad: true " * whole  # proto3 leaves out what is false
    return f"{name} {{ {dims('kernel', kernel)} {dims('stride', stride)} {dims('pad', pad)} {flags} }}"


GEOMETRIES = [
    ((7, 7), (3, 3), (2, 2), (0, 0)),  # 4 windows per axis; torch's ceil_mode makes 3
    ((7, 6), (3, 2), (2, 2), (1, 0)),
    ((5, 8), (2, 3), (3, 1), (0, 2)),
    ((4, 5, 3), (2, 3, 2), (2, 2, 2), (0, 1, 1)),
]


@pytest.mark.parametrize("ignore", [True, False])
@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), GEOMETRIES)
def test_pooling(size: Any, kernel: Any, stride: Any, pad: Any, ignore: bool, tmp_path: Path) -> None:
    x = draw(2, 3, *size) - 3  # below 0: a border of zeros would win
    for how, kind, whole in [
        ("max", "Max", False),
        ("sum", "Sum", False),
        ("mean", "Average", 1),
        ("mean", "Average", 0),
    ]:
        expected = pooled(x, kernel, stride, pad, ignore, how, bool(whole))
        param = pooling(f"{kind.lower()}_pooling_param", kernel, stride, pad, ignore, bool(whole))
        layer = check(tmp_path, f"{kind}Pooling", x, expected, param)
        if ignore and max(2 * p - k for p, k in zip(pad, kernel, strict=True)) <= 0 and how != "sum":
            assert type(layer).__module__.startswith("torch.")


def test_a_width_of_seven_by_hand(tmp_path: Path) -> None:
    x = np.arange(7.0).reshape(1, 1, 1, 7).repeat(2, 0)
    kernel = f"{dims('kernel', [1, 3])} {dims('stride', [1, 2])}"
    for ignore, expected in (("", [2, 4, 6, 6]), ("ignore_border: True", [2, 4, 6])):
        check(tmp_path, "MaxPooling", x, np.tile(expected, (2, 1, 1, 1)), f"max_pooling_param {{ {kernel} {ignore} }}")
    # the last window holds the last pixel alone
    check(tmp_path, "AveragePooling", x, np.tile([1.0, 3, 5, 6], (2, 1, 1, 1)), f"average_pooling_param {{ {kernel} }}")
    # without a stride it is the kernel's size
    check(
        tmp_path,
        "SumPooling",
        x,
        np.tile([3.0, 12, 6], (2, 1, 1, 1)),
        f"sum_pooling_param {{ {dims('kernel', [1, 3])} }}",
    )


def test_pooling_takes_the_last_axes_whatever_the_rank(tmp_path: Path) -> None:
    for shape in ((4, 5), (2, 3, 4, 5)):
        x = draw(2, *shape)
        param = pooling("max_pooling_param", (2, 2), (2, 2), (0, 0), True, False)
        check(tmp_path, "MaxPooling", x, pooled(x, (2, 2), (2, 2), (0, 0), True, "max"), param)


def test_the_gradient_of_overhanging_windows(tmp_path: Path) -> None:
    model = build(
        tmp_path, "AveragePooling", (1, 1, 7), pooling("average_pooling_param", (1, 3), (1, 2), (0, 0), 0, 0), []
    )
    x = torch.zeros(1, 1, 1, 7, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    third = 1 / 3
    expected = [third, third, 2 * third, third, 2 * third, third, third + 1]
    np.testing.assert_allclose(gradient.flatten().numpy(), expected, rtol=1e-6)


def test_global_average_pooling_and_unpooling(tmp_path: Path) -> None:
    x = draw(2, 3, 4, 5)
    check(tmp_path, "GlobalAveragePooling", x, x.mean((2, 3), keepdims=True))
    check(tmp_path, "GlobalAveragePooling", x[:, :, 0], x[:, :, 0].mean(2)[:, :, None, None])
    expected = x.repeat(2, axis=2).repeat(3, axis=3)
    check(tmp_path, "Unpooling", x, expected, f"unpooling_param {{ {dims('kernel', [2, 3])} }}")


# --- activations ----------------------------------------------------------------------------------------------------


def softmax(x: Array, axis: int) -> Array:
    raised = np.exp(x - x.max(axis, keepdims=True))
    return raised / raised.sum(axis, keepdims=True)


def elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS: list[tuple[str, str, Callable[[Array], Array]]] = [
    ("ReLU", "relu_param { inplace: True }", lambda x: np.maximum(x, 0)),
    ("ReLU6", "", lambda x: np.clip(x, 0, 6)),
    ("LeakyReLU", "leaky_relu_param { alpha: 0.25 }", lambda x: np.where(x > 0, x, 0.25 * x)),
    ("ELU", "elu_param { alpha: 1.5 }", lambda x: elu(x, 1.5)),
    (
        "SELU",
        "selu_param { scale: 1.05070098735548 alpha: 1.673263242354377 }",
        lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    ),
    ("SELU", "selu_param { scale: 2 alpha: 0.5 }", lambda x: 2 * elu(x, 0.5)),
    ("CReLU", "crelu_param { axis: 1 }", lambda x: np.maximum(np.concatenate([x, -x], 1), 0)),
    ("CELU", "celu_param { alpha: 0.5 axis: 2 }", lambda x: elu(np.concatenate([x, -x], 2), 0.5)),
    ("Swish", "", lambda x: x * sigmoid(x)),
    ("GELU", "", lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    ("Mish", "", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    ("Tanh", "", np.tanh),
    ("TanhShrink", "", lambda x: x - np.tanh(x)),
    ("HardTanh", "", lambda x: np.clip(x, -1, 1)),
    ("Sigmoid", "", sigmoid),
    ("LogSigmoid", "", lambda x: -np.log1p(np.exp(-x))),
    ("HardSigmoid", "", lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    ("SoftPlus", "softplus_param { beta: 2.0 }", lambda x: np.log1p(np.exp(2 * x)) / 2),
    ("SoftPlus", "", lambda x: np.log1p(np.exp(x))),
    ("SoftSign", "", lambda x: x / (1 + np.abs(x))),
    ("Sinc", "", lambda x: np.sin(x) / x),
    ("Softmax", "softmax_param { axis: 1 }", lambda x: softmax(x, 1)),
    ("Softmax", "softmax_param { axis: -1 }", lambda x: softmax(x, 3)),
    ("LogSoftmax", "log_softmax_param { axis: 2 }", lambda x: np.log(softmax(x, 2))),
]


@pytest.mark.parametrize(
    ("kind", "param", "expected"), ACTIVATIONS, ids=lambda each: each if isinstance(each, str) else ""
)
def test_activation(kind: str, param: str, expected: Callable[[Array], Array], tmp_path: Path) -> None:
    x = 3 * draw(2, 3, 4, 2)
    check(tmp_path, kind, x, expected(x), param)


def test_prelu(tmp_path: Path) -> None:
    x, slopes = draw(2, 3, 4), draw(3, seed=1)
    expected = np.maximum(x, 0) + slopes[:, None] * np.minimum(x, 0)
    layer = check(tmp_path, "PReLU", x, expected, "prelu_param { base_axis: 1 }", [slopes])
    assert isinstance(layer, nn.PReLU)
    one = np.array(0.25)
    check(tmp_path, "PReLU", x, np.maximum(x, 0) + 0.25 * np.minimum(x, 0), "prelu_param { base_axis: 1 }", [one])
    last = draw(4, seed=1)
    expected = np.maximum(x, 0) + last * np.minimum(x, 0)
    check(tmp_path, "PReLU", x, expected, "prelu_param { base_axis: 2 }", [last])


def test_relu_does_not_write_over_its_input(tmp_path: Path) -> None:
    model = build(tmp_path, "ReLU", (3,), "relu_param { inplace: True }", [])
    x = torch.tensor([[-1.0, 0.0, 1.0]])
    model(x)
    assert x[0, 0] == -1


# --- arithmetic -----------------------------------------------------------------------------------------------------

SCALARS: list[tuple[str, Callable[[Array, float], Array]]] = [
    ("AddScalar", lambda x, v: x + v),
    ("MulScalar", lambda x, v: x * v),
    ("PowScalar", lambda x, v: x**v),
    ("RSubScalar", lambda x, v: v - x),
    ("RDivScalar", lambda x, v: v / x),
    ("RPowScalar", lambda x, v: v**x),
    ("MaximumScalar", np.maximum),
    ("MinimumScalar", np.minimum),
]


@pytest.mark.parametrize(("kind", "expected"), SCALARS, ids=[kind for kind, _ in SCALARS])
def test_arithmetic_with_a_number(kind: str, expected: Callable[[Array, float], Array], tmp_path: Path) -> None:
    x = np.abs(draw(2, 3, 4)) + 0.25
    snake = {"RSub": "r_sub_", "RDiv": "r_div_", "RPow": "r_pow_"}.get(kind.removesuffix("Scalar"))
    name = f"{snake or kind.removesuffix('Scalar').lower() + '_'}scalar_param"
    check(tmp_path, kind, x, expected(x, 0.75), f"{name} {{ val: 0.75 }}")


BINARY: list[tuple[str, Callable[[Array, Array], Array]]] = [
    ("Add2", np.add),
    ("BcAdd2", np.add),
    ("Sub2", np.subtract),
    ("Mul2", np.multiply),
    ("Div2", np.divide),
    ("Pow2", np.power),
    ("Maximum2", np.maximum),
    ("Minimum2", np.minimum),
    ("AddN", np.add),
    ("MulN", np.multiply),
]


@pytest.mark.parametrize(("kind", "expected"), BINARY, ids=[kind for kind, _ in BINARY])
def test_arithmetic_with_weights_of_other_shapes(
    kind: str, expected: Callable[[Array, Array], Array], tmp_path: Path
) -> None:
    x = np.abs(draw(2, 3, 4)) + 0.25
    for shape in ((1, 3, 1), (1, 1, 4), (1, 1, 1), (1, 3, 4)):
        weights = np.abs(draw(*shape, seed=1)) + np.float32(0.5)
        check(tmp_path, kind, x, expected(x, weights), "", [weights])


POINTWISE: list[tuple[str, Callable[[Array], Array]]] = [("Abs", np.abs), ("Exp", np.exp), ("Log", np.log)]


@pytest.mark.parametrize(("kind", "expected"), POINTWISE, ids=[kind for kind, _ in POINTWISE])
def test_pointwise(kind: str, expected: Callable[[Array], Array], tmp_path: Path) -> None:
    x = draw(2, 5)
    x = np.abs(x) + 0.1 if kind == "Log" else x
    check(tmp_path, kind, x, expected(x))


REDUCTIONS: list[tuple[str, Any]] = [("Sum", np.sum), ("Mean", np.mean), ("Max", np.max), ("Min", np.min)]


@pytest.mark.parametrize(("kind", "expected"), REDUCTIONS, ids=[kind for kind, _ in REDUCTIONS])
def test_reduction(kind: str, expected: Any, tmp_path: Path) -> None:
    x, name = draw(2, 3, 4, 5), f"{kind.lower()}_param"
    check(tmp_path, kind, x, expected(x, axis=(2, 3)), f"{name} {{ axes: 2 axes: 3 }}")
    check(tmp_path, kind, x, expected(x, axis=(1, 3), keepdims=True), f"{name} {{ axes: [-1, 1] keep_dims: True }}")


def test_mean_subtraction(tmp_path: Path) -> None:
    x, mean = draw(2, 3, 4), draw(3, 4, seed=1)
    check(tmp_path, "MeanSubtraction", x, x - mean, "mean_subtraction_param { base_axis: 1 }", [mean, np.array(7.0)])


# --- arrangement ----------------------------------------------------------------------------------------------------


def test_joining_with_weights(tmp_path: Path) -> None:
    x, name = draw(2, 3, 4), "concatenate_param"
    model = build(tmp_path, "Stack", (3, 4), "stack_param { axis: 2 }", [])
    assert np.array_equal(model(torch.tensor(x)).numpy(), np.stack([x], 2))
    for axis in (1, -1):
        check(tmp_path, "Concatenate", x, np.concatenate([x], axis), f"{name} {{ axis: {axis} }}")


def test_splitting_gives_several_outputs(tmp_path: Path) -> None:
    model = build(tmp_path, "Split", (3, 4), "split_param { axis: 1 }", [], outputs=3)
    x = torch.tensor(draw(2, 3, 4))
    assert model.output_names == ("y'", "y1", "y2")
    for place, name in enumerate(model.output_names):
        assert torch.equal(model.output(name)(x), x[:, place])


SLICES: list[tuple[str, Any]] = [
    ("start: 1 start: 0 stop: 3 stop: 4 step: 1 step: 2", np.s_[:, 1:3, 0:4:2]),
    ("start: [0, 0, 1] stop: [4, 3, 4] step: [1, 1, 1]", np.s_[:, 0:3, 1:4]),  # the batch as it was saved: 4
    ("start: -2 stop: 2147483647 step: 1", np.s_[:, :, -2:]),
    ("start: 2147483647 stop: 2147483647 step: -1", np.s_[:, :, ::-1]),
    ("start: 3 stop: 0 step: -2", np.s_[:, :, 3:0:-2]),
    ("start: 0 stop: 9 step: 1", np.s_[:, :, 0:9]),
    ("start: 0 stop: -1 step: 1", np.s_[:, :, 0:-1]),
]


@pytest.mark.parametrize(("param", "expected"), SLICES, ids=[param for param, _ in SLICES])
def test_slice(param: str, expected: Any, tmp_path: Path) -> None:
    x = draw(2, 3, 5)
    check(tmp_path, "Slice", x, x[expected], f"slice_param {{ {param} }}")


@pytest.mark.parametrize(
    ("shape", "batch_size", "declared", "expected"),
    [
        ((-1, 12), 4, (), (12,)),
        ((4, 12), 4, (), (12,)),  # the batch size baked in
        ((7, 12), 4, (), (12,)),  # another batch size baked in
        ((12,), 4, (), (12,)),  # the Console leaves the batch out
        ((2, 6), 4, (), (2, 6)),
        ((2, 6), 1, (), (2, 6)),
        ((1, 12), 1, (-1, 12), (12,)),
        ((1, 12), 1, (-1, 1, 12), (1, 12)),
        ((1, 12), 4, (), (1, 12)),
        ((4, -1), 4, (), (12,)),
        ((-1, 2, 2, 3), 4, (), (2, 2, 3)),
        ((4, 2, -1, 3), 4, (), (2, 2, 3)),
        ((2, -1, 3), 4, (), (2, 2, 3)),
    ],
)
def test_reshape(shape: Any, batch_size: int, declared: Any, expected: tuple[int, ...], tmp_path: Path) -> None:
    x = draw(3, 3, 4)
    param = f"reshape_param {{ {dims('shape', shape)} }}"
    y = x.reshape(3, *expected)
    check(tmp_path, "Reshape", x, y, param, batch_size=batch_size, declared=declared)


def test_transpose_flatten_broadcast_identity(tmp_path: Path) -> None:
    x = draw(2, 3, 1, 4)
    check(tmp_path, "Transpose", x, x.transpose(0, 3, 1, 2), "transpose_param { axes: 0 axes: 3 axes: 1 axes: 2 }")
    check(tmp_path, "Flatten", x, x.reshape(2, 12))
    expected = np.broadcast_to(x, (2, 3, 5, 4))
    for batch in (-1, 4):
        check(tmp_path, "Broadcast", x, expected, f"broadcast_param {{ {dims('shape', [batch, 3, 5, 4])} }}")
    check(tmp_path, "Identity", x, x)


@pytest.mark.parametrize(("mode", "numpys"), [("constant", "constant"), ("reflect", "reflect"), ("repeat", "edge")])
def test_pad(mode: str, numpys: Any, tmp_path: Path) -> None:
    x = draw(2, 3, 4, 3)
    more = {"constant_values": 2.5} if mode == "constant" else {}
    expected = np.pad(x, [(0, 0), (0, 0), (1, 3), (2, 0)], numpys, **more)
    param = f'pad_param {{ pad_width: [1, 3, 2, 0] mode: "{mode}" constant_value: 2.5 }}'
    check(tmp_path, "Pad", x, expected, param)


def test_a_reflection_wider_than_what_it_reflects(tmp_path: Path) -> None:
    x = draw(2, 3)
    expected = np.pad(x, [(0, 0), (5, 4)], "reflect")
    check(tmp_path, "Pad", x, expected, 'pad_param { pad_width: [5, 4] mode: "reflect" }')


@pytest.mark.parametrize("kind", ["Dropout", "ImageAugmentation"])
def test_what_a_trained_network_needs_not_is_left_out_and_said(kind: str, tmp_path: Path, logged: list[str]) -> None:
    x = draw(2, 3, 4, 4)
    shape = dims("shape", [3, 4, 4])
    param = {"Dropout": "dropout_param { p: 0.5 }", "ImageAugmentation": f"image_augmentation_param {{ {shape} }}"}
    check(tmp_path, kind, x, x, param[kind])
    assert "y: left out, as a trained network needs none of it" in "".join(logged)


def test_augmentation_that_cuts_is_refused(tmp_path: Path) -> None:
    param = f"image_augmentation_param {{ {dims('shape', [3, 2, 2])} }}"
    with pytest.raises(ValueError, match=r"'y' of the type 'ImageAugmentation' cannot be used: it makes pictures of"):
        build(tmp_path, "ImageAugmentation", (3, 4, 4), param, [])


def test_every_known_function_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    by_name = {"MaxPooling", "AveragePooling", "SumPooling"}
    elsewhere = {"RepeatStart", "RepeatEnd"}  # test_nnp_networks
    assert not [kind for kind in FUNCTIONS if f'"{kind}"' not in text and kind not in by_name | elsewhere]
