"""Functions with weights: convolutions, affine layers and batch normalization, as torch's own modules."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.models.nnp.function_call import Builder, FunctionCall, Shape

_CONVOLUTIONS: tuple[Any, ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: tuple[Any, ...] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_META = torch.device("meta")  # no memory and no random numbers for weights that are replaced at once


class Affine(nn.Linear):
    """A linear layer that takes the axes from ``base_axis`` on as one, and may return several.

    Args:
        base_axis: the first axis that it looks at; those before it are samples.
        shape: sizes of the axes that it returns in their place.
    """

    def __init__(self, features: int, base_axis: int, shape: Shape, bias: bool) -> None:
        super().__init__(features, math.prod(shape), bias=bias, device=_META)
        self.base_axis, self.shape = base_axis, shape

    def forward(self, input: Tensor) -> Tensor:
        result: Tensor = super().forward(input.flatten(self.base_axis))
        return result.reshape(*result.shape[:-1], *self.shape)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, base_axis={self.base_axis}, shape={self.shape}"


class Normalization(nn.Module):
    """Normalizes by running statistics over axes for which torch has no module: ``x * scale + shift``.

    Args:
        mean, var, gamma, beta: of one shape, which the input is broadcast against.
        eps: added to the variance.
    """

    def __init__(self, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> None:
        super().__init__()
        scale = gamma / (var + eps).sqrt()
        self.scale, self.shift = nn.Parameter(scale), nn.Parameter(beta - mean * scale)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


def convolution(call: FunctionCall) -> nn.Module:
    """Build a Convolution; its weights are (C', C / group, *k)."""
    weight, channels = _weight_and_channels(call, 2)
    group = call.param.integer("group") or 1
    if group < 1 or channels != weight.shape[1] * group or weight.shape[0] % group:
        raise ValueError(f"its weights {tuple(weight.shape)} do not fit {channels} channels in {group} groups")
    return _convolution(call, weight, group)


def depthwise_convolution(call: FunctionCall) -> nn.Module:
    """Build a DepthwiseConvolution; its weights are (C * multiplier, *k), the outputs of a channel neighbours."""
    weight, channels = _weight_and_channels(call, 1)
    multiplier = call.param.integer("multiplier") or 1
    if weight.shape[0] != channels * multiplier:
        raise ValueError(f"its weights {tuple(weight.shape)} do not fit {channels} channels times {multiplier}")
    return _convolution(call, weight.unsqueeze(1), channels)


def deconvolution(call: FunctionCall) -> nn.Module:
    """Build a Deconvolution; its weights are (C, C' / group, *k)."""
    weight, channels = _weight_and_channels(call, 2)
    group = call.param.integer("group") or 1
    if group < 1 or channels != weight.shape[0] or weight.shape[0] % group:
        raise ValueError(f"its weights {tuple(weight.shape)} do not fit {channels} channels in {group} groups")
    return _convolution(call, weight, group, transposed=True)


def depthwise_deconvolution(call: FunctionCall) -> nn.Module:
    """Build a DepthwiseDeconvolution; its weights are (C, *k), and ``divisor`` neighbouring channels make one."""
    weight, channels = _weight_and_channels(call, 1)
    divisor = call.param.integer("divisor") or 1
    if divisor < 1 or channels != weight.shape[0] or channels % divisor:
        raise ValueError(f"its weights {tuple(weight.shape)} do not fit {channels} channels divided by {divisor}")
    return _convolution(call, weight.unsqueeze(1), channels // divisor, transposed=True)


def affine(call: FunctionCall) -> nn.Module:
    """Build an Affine; its weights are (D, *L), the transpose of torch's."""
    call.limit_inputs(3)
    shape = call.shape()
    base_axis = call.param.integer("base_axis")
    base_axis += len(shape) if base_axis < 0 else 0
    if not 1 <= base_axis < len(shape):
        raise ValueError(f"its base_axis {call.param.integer('base_axis')} is not one of 1 to {len(shape) - 1}")
    weight = call.weight(1)
    features = math.prod(shape[base_axis:])
    if weight.ndim < 2 or weight.shape[0] != features:
        raise ValueError(f"its weights {tuple(weight.shape)} do not fit {features} inputs")
    returned = tuple(weight.shape[1:])
    bias = call.bias(2, math.prod(returned))
    layer: nn.Linear
    if len(shape) == 2 and len(returned) == 1:
        layer = nn.Linear(features, returned[0], bias=bias is not None, device=_META)
    else:
        layer = Affine(features, base_axis, returned, bias is not None)
    return _with_parameters(layer, weight.flatten(1).t().contiguous(), bias)


def batch_normalization(call: FunctionCall) -> nn.Module:
    """Build a BatchNormalization of x, beta, gamma, mean, var, by running statistics unless ``batch_stat`` is set."""
    shape = call.shape()
    axes = call.param.integers("axes") or [1]
    axes = sorted(axis + len(shape) if axis < 0 else axis for axis in axes)
    if not all(1 <= axis < len(shape) for axis in axes):
        raise ValueError(f"its axes {axes} must be some of 1 to {len(shape) - 1}")
    missing = [name for name in ("no_bias", "no_scale") if call.param.flag(name)]
    call.limit_inputs(5 - len(missing))
    places = iter(range(1, len(call.inputs)))
    sizes = [size if axis in axes else 1 for axis, size in enumerate(shape)]

    def statistic(absent: bool, otherwise: float) -> Tensor:
        if absent:
            return torch.full(sizes, otherwise)
        place = next(places, len(call.inputs))
        values = call.weight(place)
        if values.numel() != math.prod(sizes):
            raise ValueError(f"its parameter {place} has {values.numel()} numbers instead of {math.prod(sizes)}")
        return values.reshape(sizes)

    beta = statistic("no_bias" in missing, 0.0)
    gamma = statistic("no_scale" in missing, 1.0)
    batch_stat = call.param.flag("batch_stat")
    mean, var = (beta, gamma) if batch_stat else (statistic(False, 0.0), statistic(False, 1.0))
    eps = call.param.number("eps")
    if bool((var < -eps).any()) and not batch_stat:
        raise ValueError("its variance is negative")
    kinds: dict[int, Any] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    if axes != [1] or len(shape) not in kinds:
        if batch_stat:
            raise ValueError(f"it takes the statistics of the batch over the axes {axes}; only axis 1 is supported")
        return Normalization(mean, var, gamma, beta, eps)
    layer: nn.Module = kinds[len(shape)](shape[1], eps=eps, track_running_stats=not batch_stat, device=_META)
    layer.weight, layer.bias = nn.Parameter(gamma.flatten()), nn.Parameter(beta.flatten())
    if not batch_stat:
        layer.running_mean, layer.running_var = mean.flatten(), var.flatten()
        layer.num_batches_tracked = torch.tensor(0)
    return layer


def _weight_and_channels(call: FunctionCall, other_axes: int) -> tuple[Tensor, int]:
    """Return a convolution's weight, with so many axes before those of space, and its input's channels."""
    call.require_channels_first()
    if call.param.integer("base_axis") != 1:
        raise ValueError(
            f"its base_axis is {call.param.integer('base_axis')}; only 1 (batch, channels, space) is supported"
        )
    weight, shape = call.weight(1), call.shape()
    count = weight.ndim - other_axes
    if not 1 <= count <= 3 or len(shape) != count + 2:
        raise ValueError(
            f"its weights are for {count} spatial axes (1 to 3 are supported), its input has {len(shape) - 2}"
        )
    return weight, shape[1]


def _convolution(call: FunctionCall, weight: Tensor, group: int, transposed: bool = False) -> nn.Module:
    count = weight.ndim - 2
    call.limit_inputs(3)
    channels = (weight.shape[1] * group, weight.shape[0])[:: -1 if transposed else 1]  # of input and output
    bias = call.bias(2, channels[1])
    layer = (_TRANSPOSED if transposed else _CONVOLUTIONS)[count - 1](
        *channels,
        tuple(weight.shape[2:]),
        call.sizes("stride", count, 1, 1),
        call.sizes("pad", count, 0, 0),
        dilation=call.sizes("dilation", count, 1, 1),
        groups=group,
        bias=bias is not None,
        device=_META,
        **({"output_padding": call.sizes("output_padding", count, 0, 0)} if transposed else {}),
    )
    return _with_parameters(layer, weight, bias)


def _with_parameters(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    layer.weight = nn.Parameter(weight)
    if bias is not None:
        layer.bias = nn.Parameter(bias)
    return layer


LAYERS: dict[str, Builder] = {
    "Convolution": convolution,
    "DepthwiseConvolution": depthwise_convolution,
    "Deconvolution": deconvolution,
    "DepthwiseDeconvolution": depthwise_deconvolution,
    "Affine": affine,
    "BatchNormalization": batch_normalization,
}
