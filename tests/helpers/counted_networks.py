"""Networks that count the images that go through them, forward and backward, and calls of few steps for each method.

Counted is what is computed: an output that is only handed out again, as in a replay, does not count, and a chunk of
several images counts as so many.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.tiny_nets import CHANNELS, CLASSES, ConvNet, TinyViT, build, inputs
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.methods import Method

PASSES = ("F", "B", "Ft", "Bt")  # as in the column `passes` of the table of methods
LAYERS = {"": "conv2", "pooled head": "act3", "attention": "blocks.1.norm1"}  # by what a method needs
SIZES = {"": (12, 8), "pooled head": (12, 8), "attention": TinyViT.size}
# K channels of the layer and n positions on its grid.
SHAPES = {"": {"K": 5, "n": 6 * 4}, "pooled head": {"K": 6, "n": 6 * 4}, "attention": {"n": 3 * 5}}
# Arguments with which a method makes few passes, and the letters of its formula that follow from them.
SETTINGS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "sess": ({"window_size": 6, "scales": [6, 8]}, {"N": 2 + 4}),  # in 9 x 6 and in 12 x 8 px
    "smoothgrad": ({"num_samples": 3}, {"N": 3}),
    "vargrad": ({"num_samples": 3}, {"N": 3}),
    "integratedgradients": ({"steps": 12}, {"N": 12}),
    "rise": ({"num_samples": 20}, {"N": 20}),
    "smoothgradcam++": ({"num_samples": 3}, {"N": 3}),
    "sscam": ({"num_samples": 2}, {"N": 2}),
    "iscam": ({"num_samples": 2}, {"N": 2}),
    "gscorecam": ({"channels": 3}, {"K": 3}),
    "opticam": ({"steps": 3}, {"N": 3}),
}


class Count(torch.autograd.Function):
    """Hand a tensor on and count its rows: forward, backward, and in the backward pass of the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, counter: Counter[str], forward: str, backward: str) -> Tensor:
        ctx.counter, ctx.backward_pass = counter, backward
        counter[forward] += len(x)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
        return Count.apply(grad, ctx.counter, ctx.backward_pass, ctx.backward_pass), None, None, None


class CountingConv(nn.Conv2d):
    """Counts the images that come in as ``names``: of the forward and of the backward pass."""

    counter: Counter[str]
    names = ("first F", "first B")

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(Count.apply(x, self.counter, *self.names))


class CountingLinear(nn.Linear):
    """Counts the images that come in as ``names``: of the forward and of the backward pass."""

    counter: Counter[str]
    names = ("last F", "last B")

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(Count.apply(x, self.counter, *self.names))


class CountingConvNet(ConvNet):
    """Counts at its first convolution and at its last linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = CountingConv(CHANNELS, 4, 3, padding=1)
        self.head = CountingLinear(6, CLASSES)


class CountingViT(TinyViT):
    """Counts at its head, and forward in the first of its two blocks, backward where one leaves the second."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks[0].out, self.blocks[1].qkv = CountingLinear(8, 8), CountingLinear(8, 3 * 8)
        self.blocks[0].out.names, self.blocks[1].qkv.names = ("first F", ""), ("", "first B")
        self.head = CountingLinear(8, CLASSES)


def counted_call(method: Method) -> tuple[BaseCAM, Tensor, Counter[str]]:
    """Return a method on a network that counts, one image for it, and what counts."""
    net, counter = build(CountingViT if method.needs == "attention" else CountingConvNet, seed=1), Counter[str]()
    for module in net.modules():
        if isinstance(module, (CountingConv, CountingLinear)):
            module.counter = counter
    options, _ = SETTINGS.get(method.name, ({}, {}))
    layer = net.get_submodule(LAYERS[method.needs])
    return method.load()(net, layer, **options), inputs(batch=1, size=SIZES[method.needs]), counter


def passes_by_formula(formula: str, method: Method) -> dict[str, int]:
    """Evaluate a formula as in the column `passes` for a method's `counted_call`: how many of each of PASSES."""
    product = re.sub(r"(?<=[\w)]) (?=[(\w])", " * ", formula)
    letters = SHAPES[method.needs] | SETTINGS.get(method.name, ({}, {}))[1]
    units = dict(zip(PASSES, np.eye(len(PASSES), dtype=int), strict=True))
    return dict(zip(PASSES, eval(product, {"__builtins__": {}}, letters | units).tolist(), strict=True))


def passes_counted(counter: Counter[str]) -> dict[str, int]:
    """Return how many of each of PASSES a network has counted."""
    first, last = ({kind: counter[f"{place} {kind}"] for kind in "FB"} for place in ("first", "last"))
    return {"F": first["F"], "B": first["B"], "Ft": last["F"] - first["F"], "Bt": last["B"] - first["B"]}


class OperatorCount(TorchDispatchMode):
    """Counts the operators of torch that are run meanwhile, those of backward passes too."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.total += 1
        return function(*args, **(kwargs or {}))


def operators_of(method: Method) -> int:
    """Count the operators of the first call of a method on one image."""
    cam, x, _ = counted_call(method)
    with OperatorCount() as operators:
        cam(x, 1)
    return operators.total
