"""The layer browser: what every layer of a network returns for an input, and whether it can be looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.engine.executed_layers import ExecutedLayer, executed_layers
from pytorch_grad_cam.engine.layout import CHANNELS_FIRST, InferredReshapeTransform, TensorLayout


@dataclass(frozen=True)
class LayerReport:
    """Says what one layer returns, and whether it can be a target layer.

    Attributes:
        name: dotted.
        kind: the module's type.
        shape: of its output, without the batch axis; None if it has no single tensor as output.
        problem: why it cannot be a target layer; empty if it can.
        layout: how its output is laid out in space, where that is not ``(B, C, *S)`` already.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    problem: str
    layout: str = ""


def report_layers(
    model: nn.Module,
    run: Callable[[], Any],
    input_tensor: Tensor,
    reshape_transform: Callable[[Any], Tensor] | None = None,
) -> list[LayerReport]:
    """Say of every layer of the model, in the order of its definition, whether it can be a target layer.

    Args:
        model: the network.
        run: one forward pass on ``input_tensor``.
        input_tensor: ``(B, C, *S)``.
        reshape_transform: applied to what is not ``(B, C, *S)``; None: the layout is found by shapes.
    """
    executed = {layer.name: layer for layer in executed_layers(model, run)[0]}
    inferred = InferredReshapeTransform(model, input_tensor)
    reports = []
    for name, module in model.named_modules():
        if not name:
            continue
        layer, layout = executed.get(name), ""
        if type(module).forward is nn.Module.forward:  # a bare ModuleList or ModuleDict; DenseNet's blocks have one
            problem = "a container, which has no output of its own"
        elif layer is None:
            problem = "did not run on this input"
        elif layer.is_model_output:
            problem = "is the model's output"
        elif reshape_transform is None:
            problem, layout = _inferred(layer, inferred)
        else:
            problem = _reshaping_problem(layer, input_tensor, reshape_transform)
        output = None if layer is None else layer.output
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
        reports.append(LayerReport(name, type(module).__name__, shape, problem, layout))
    return reports


def _inferred(layer: ExecutedLayer, inferred: InferredReshapeTransform) -> tuple[str, str]:
    """Return the problem of a layer, or else how its output is laid out where that is not ``(B, C, *S)``."""
    layout = inferred.layout_or_problem(layer.output, layer.module)
    if isinstance(layout, TensorLayout):
        return "", "" if layout.order == CHANNELS_FIRST else str(layout)
    return layout, ""


def _reshaping_problem(layer: ExecutedLayer, input_tensor: Tensor, reshape_transform: Callable[[Any], Tensor]) -> str:
    """Say why an output is not ``(B, C, *S)`` with more than one position, with this transform or without."""
    if _has_positions(layer.output, input_tensor):
        return ""
    try:
        output = reshape_transform(layer.output)
    except Exception:  # it was made for other layers, and may fail in any way
        return "the model's reshape_transform does not take its output"
    return "" if _has_positions(output, input_tensor) else "the model's reshape_transform makes no map of its output"


def _has_positions(output: Any, input_tensor: Tensor) -> bool:
    return (
        isinstance(output, Tensor)
        and output.ndim == input_tensor.ndim
        and output.shape[0] == input_tensor.shape[0]
        and math.prod(output.shape[2:]) > 1
    )
