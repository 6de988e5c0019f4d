"""Arithmetic functions: between activations, with weights and with single numbers; sums and means over axes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.models.nnp.function_call import Builder, FunctionCall, Operation, Shape, unary

Binary = Callable[[Any, Any], Any]


class Elementwise(Operation):
    """Joins inputs one after the other by a function of two tensors, broadcast against each other."""

    def __init__(self, inputs: Sequence[Shape | Tensor], join: Binary) -> None:
        super().__init__(inputs)
        self.join = join

    def forward(self, *activations: Tensor) -> Tensor:
        result: Tensor = reduce(self.join, self.operands(activations))
        return result

    def extra_repr(self) -> str:
        return self.join.__name__


class WithScalar(nn.Module):
    """Computes ``join(x, value)``, or ``join(value, x)`` where ``reverse`` is set."""

    def __init__(self, join: Binary, value: float, reverse: bool = False) -> None:
        super().__init__()
        self.join, self.value, self.reverse = join, value, reverse

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.join(self.value, x) if self.reverse else self.join(x, self.value)
        return result

    def extra_repr(self) -> str:
        return f"{self.join.__name__}, {self.value}" + (", reverse" if self.reverse else "")


class Pointwise(nn.Module):
    """Applies a function to every single value."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.function.__name__


class Reduction(nn.Module):
    """Computes a sum, mean, maximum or minimum over axes."""

    def __init__(self, function: Callable[..., Tensor], axes: Sequence[int], keep: bool) -> None:
        super().__init__()
        self.function, self.axes, self.keep = function, tuple(axes), keep

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.axes, keepdim=self.keep)

    def extra_repr(self) -> str:
        return f"{self.function.__name__}, axes={self.axes}, keep={self.keep}"


def _joined(join: Binary, count: int | None = 2) -> Builder:
    """Return a builder for a function of ``count`` inputs; None: any number of them."""

    def build(call: FunctionCall) -> nn.Module:
        if count is not None and len(call.inputs) != count:
            raise ValueError(f"it has {len(call.inputs)} inputs instead of {count}")
        return Elementwise(call.inputs, join)

    return build


def _reduction(function: Callable[..., Tensor]) -> Builder:
    def build(call: FunctionCall) -> nn.Module:
        call.limit_inputs(1)
        if call.param.flag("with_index") or call.param.flag("only_index"):
            raise ValueError("it returns positions (with_index, only_index), which have no gradient")
        return Reduction(function, call.axes(), call.param.flag("keep_dims"))

    return build


def mean_subtraction(call: FunctionCall) -> nn.Module:
    """Build a MeanSubtraction of inputs x, mean and a count, by the running mean."""
    if call.param.flag("update_running_mean"):
        raise ValueError("it updates its mean at every pass (update_running_mean); export the network for inference")
    call.limit_inputs(3)
    shape, mean = call.shape(), call.weight(1)
    base = call.param.integer("base_axis")
    if base < 1 or tuple(mean.shape) != tuple(shape[base:]):
        raise ValueError(f"its mean has the shape {tuple(mean.shape)} instead of {tuple(shape[max(base, 1) :])}")
    return Elementwise([shape, mean], operator.sub)


ARITHMETIC: dict[str, Builder] = {
    "Add2": _joined(operator.add),
    "Sub2": _joined(operator.sub),
    "Mul2": _joined(operator.mul),
    "Div2": _joined(operator.truediv),
    "Pow2": _joined(operator.pow),
    "BcAdd2": _joined(operator.add),
    "AddN": _joined(operator.add, None),
    "MulN": _joined(operator.mul, None),
    "Maximum2": _joined(torch.maximum),
    "Minimum2": _joined(torch.minimum),
    "AddScalar": unary(partial(WithScalar, operator.add), "val"),
    "MulScalar": unary(partial(WithScalar, operator.mul), "val"),
    "PowScalar": unary(partial(WithScalar, operator.pow), "val"),
    "RSubScalar": unary(partial(WithScalar, operator.sub, reverse=True), "val"),
    "RDivScalar": unary(partial(WithScalar, operator.truediv, reverse=True), "val"),
    "RPowScalar": unary(partial(WithScalar, operator.pow, reverse=True), "val"),
    "MaximumScalar": unary(partial(WithScalar, torch.clamp_min), "val"),
    "MinimumScalar": unary(partial(WithScalar, torch.clamp_max), "val"),
    "Abs": unary(partial(Pointwise, torch.abs)),
    "Exp": unary(partial(Pointwise, torch.exp)),
    "Log": unary(partial(Pointwise, torch.log)),
    "Sum": _reduction(torch.sum),
    "Mean": _reduction(torch.mean),
    "Max": _reduction(torch.amax),
    "Min": _reduction(torch.amin),
    "MeanSubtraction": mean_subtraction,
}
