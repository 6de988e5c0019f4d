"""How many images go through a network, forward and backward, while something explains it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.restore import giving_back, hooked
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in

T = TypeVar("T")


@dataclass
class Cost:
    """What some maps took."""

    forward: int = 0  # images through the network, also those that only go through what follows a layer
    backward: int = 0  # likewise
    seconds: float = 0.0
    gradients: Counter[int] = field(default_factory=Counter)  # images by the part of the output that gradients left


class _Count(torch.autograd.Function):
    """Hand a part of the output on, and count its rows in the backward pass, and in the backward pass of that."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, counter: Counter[int], part: int) -> Tensor:
        ctx.counter, ctx.part = counter, part
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        ctx.counter[ctx.part] += len(gradient) if gradient.ndim else 1
        return _Count.apply(gradient, ctx.counter, ctx.part), None, None


@giving_back
def with_cost(model: Any, explain: Callable[[], T]) -> tuple[T, Cost]:
    """Explain, and return what came of it and what it took; the passes of a model that is no module are not counted."""
    cost = Cost()

    def count(module: nn.Module, inputs: Any, output: Any) -> Any:
        rows = next((len(tensor) if tensor.ndim else 1 for tensor in tensors_in(output)), 0)
        cost.forward += rows
        if not torch.is_grad_enabled():
            return None
        parts = iter(range(len(list(tensors_in(output)))))
        return map_tensors(output, lambda tensor: _watched(tensor, cost.gradients, next(parts)))

    with hooked([model] if isinstance(model, nn.Module) else [], count):
        start = _now()
        result = explain()
        cost.seconds = _now() - start
    cost.backward = max(cost.gradients.values(), default=0)
    return result, cost


def _watched(values: Tensor, counter: Counter[int], part: int) -> Tensor:
    if not values.requires_grad:
        return values
    found: Tensor = _Count.apply(values, counter, part)
    return found


def _now() -> float:
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return time.perf_counter()
