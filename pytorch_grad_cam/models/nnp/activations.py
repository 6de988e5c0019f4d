"""Activation functions: torch's modules where they are the same function."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from pytorch_grad_cam.models.nnp.function_call import Builder, FunctionCall, unary

# Klambauer et al., 2017, arXiv:1706.02515: what torch's SELU has built in.
_SELU = (1.0507009873554805, 1.6732632423543772)
CLOSING = ("Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid")  # make shares of logits


class PReLU(nn.Module):
    """Computes ``max(0, x) + w min(0, x)`` with w per ``axis``, for axes other than 1, which torch's PReLU is for."""

    def __init__(self, weight: Tensor, axis: int) -> None:
        super().__init__()
        self.weight, self.axis = nn.Parameter(weight), axis

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.reshape([-1 if axis == self.axis else 1 for axis in range(x.ndim)])
        return x.clamp(min=0) + weight * x.clamp(max=0)


class ScaledELU(nn.Module):
    """Computes ``scale x``, and ``scale alpha (exp(x) - 1)`` below 0: SELU with other numbers than its authors'."""

    def __init__(self, scale: float, alpha: float) -> None:
        super().__init__()
        self.scale, self.elu = scale, nn.ELU(alpha)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.scale * self.elu(x)
        return y


class ConcatenatedActivation(nn.Module):
    """Concatenates an activation of x and of -x on an axis: CReLU, CELU."""

    def __init__(self, activation: nn.Module, axis: int) -> None:
        super().__init__()
        self.activation, self.axis = activation, axis

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.activation(x), self.activation(-x)], self.axis)


class HardSigmoid(nn.Module):
    """Computes ``clip(0.2 x + 0.5, 0, 1)``; torch's HardSigmoid has the slope 1/6."""

    def forward(self, x: Tensor) -> Tensor:
        return (0.2 * x + 0.5).clamp(0, 1)


class Sinc(nn.Module):
    """Computes ``sin(x) / x``, which is 1 at 0."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sinc(x / math.pi)


def _over_axis(kind: Callable[..., nn.Module]) -> Builder:
    def build(call: FunctionCall) -> nn.Module:
        call.limit_inputs(1)
        return kind(dim=call.axis())

    return build


def prelu(call: FunctionCall) -> nn.Module:
    """Build a PReLU with one slope for all values or one per channel."""
    call.limit_inputs(2)
    shape, weight = call.shape(), call.weight(1).flatten()
    axis = call.param.integer("base_axis")
    if weight.numel() > 1 and (not 1 <= axis < len(shape) or weight.numel() != shape[axis]):
        raise ValueError(f"it has {weight.numel()} slopes for the axis {axis} of an input of the shape {shape[1:]}")
    if axis == 1 or weight.numel() == 1:
        layer = nn.PReLU(weight.numel(), device=torch.device("meta"))
        layer.weight = nn.Parameter(weight)
        return layer
    return PReLU(weight, axis)


def selu(call: FunctionCall) -> nn.Module:
    """Build a SELU."""
    call.shape()
    scale, alpha = call.param.number("scale"), call.param.number("alpha")
    if all(math.isclose(value, usual, rel_tol=1e-6) for value, usual in zip((scale, alpha), _SELU, strict=True)):
        return nn.SELU()
    return ScaledELU(scale, alpha)


def softplus(call: FunctionCall) -> nn.Module:
    """Build a SoftPlus; files from before it had a ``beta`` say nothing, which means 1."""
    call.shape()
    return nn.Softplus(call.param.number("beta") or 1.0)


ACTIVATIONS: dict[str, Builder] = {
    "ReLU": unary(nn.ReLU),
    "ReLU6": unary(nn.ReLU6),
    "LeakyReLU": unary(nn.LeakyReLU, "alpha"),
    "ELU": unary(nn.ELU, "alpha"),
    "SELU": selu,
    "PReLU": prelu,
    "CReLU": lambda call: ConcatenatedActivation(nn.ReLU(), call.axis()),
    "CELU": lambda call: ConcatenatedActivation(nn.ELU(call.param.number("alpha")), call.axis()),
    "Swish": unary(nn.SiLU),
    "GELU": unary(partial(nn.GELU, approximate="tanh")),  # nnabla's is the approximation
    "Mish": unary(nn.Mish),
    "Tanh": unary(nn.Tanh),
    "TanhShrink": unary(nn.Tanhshrink),
    "HardTanh": unary(nn.Hardtanh),
    "Sigmoid": unary(nn.Sigmoid),
    "LogSigmoid": unary(nn.LogSigmoid),
    "HardSigmoid": unary(HardSigmoid),
    "SoftPlus": softplus,
    "SoftSign": unary(nn.Softsign),
    "Sinc": unary(Sinc),
    "Softmax": _over_axis(nn.Softmax),
    "LogSoftmax": _over_axis(nn.LogSoftmax),
}
