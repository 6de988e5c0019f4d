"""Activations and gradients of a layer without the package under test: by autograd and by differences."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Score = Callable[[Any], Tensor]  # all outputs of a network -> (B,) scores
Reshape = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Record:
    """What the oracles need: per layer A and G (B, C, *S) as float64 arrays; the outputs and scores."""

    outputs: Any
    scores: Tensor
    A: tuple[np.ndarray, ...]
    G: tuple[np.ndarray, ...]


def record(net: nn.Module, layers: Sequence[str], x: Tensor, score: Score, *, reshape: Reshape | None = None) -> Record:
    """One ordinary forward and backward pass of a copy of `net`, in the precision of `net` and `x`."""
    net = copy.deepcopy(net)
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., Tensor]:
        def hook(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
            seen[name] = output  # a module called twice: the last call stays
            return output.clone()  # what follows may write in place into the clone, not into `seen`

        return hook

    for name in layers:
        net.get_submodule(name).register_forward_hook(keep(name))
    with torch.enable_grad():
        outputs = net(x.clone().requires_grad_())
        scores = score(outputs)
        tensors = [seen[name] for name in layers]
        grads = torch.autograd.grad(scores.sum(), tensors)
    shape = reshape or (lambda tensor: tensor)
    return Record(
        outputs=outputs,
        scores=scores.detach(),
        A=tuple(shape(tensor.detach()).double().numpy() for tensor in tensors),
        G=tuple(shape(tensor).double().numpy() for tensor in grads),
    )


def difference_gradient(
    net: nn.Module,
    layer: str,
    shape: Sequence[int],
    x: Tensor,
    score: Score,
    *,
    count: int = 64,
    step: float = 1e-5,
) -> tuple[np.ndarray, np.ndarray]:
    """dscore/dA of ONE image by central differences: no backward pass anywhere. `net` and `x` in float64.

    Args:
        shape: of the layer's output for one image.
        count: how many of its elements are tried, evenly spread.

    Returns:
        The flat indices of these elements, and the slope at each.
    """
    net = copy.deepcopy(net)
    size = int(np.prod(shape))
    tried = torch.linspace(0, size - 1, min(count, size)).long()
    shift = step * torch.nn.functional.one_hot(tried, size).to(x.dtype).reshape(len(tried), *shape)
    net.get_submodule(layer).register_forward_hook(lambda _module, _args, output: output + sign * shift)
    many = x.expand(len(tried), *x.shape[1:])
    with torch.no_grad():
        sign = 1
        above = score(net(many))
        sign = -1
        below = score(net(many))
    return tried.numpy(), ((above - below) / (2 * step)).numpy()
