"""The layer browser: what every layer of a network returns for an input, and whether it can be looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.engine.auto_layer import form_of
from pytorch_grad_cam.engine.layers import SeenLayer, seen_layers
from pytorch_grad_cam.engine.layout import FIRST, Form, Layout


@dataclass(frozen=True)
class LayerReport:
    """What a layer browser shows of one layer.

    Attributes:
        name: dotted.
        kind: the module's type.
        shape: of its output, without the batch axis; None if it has no single tensor as output.
        problem: why it cannot be a target layer; empty if it can.
        reading: how its output is laid out in space, where that is not ``(B, C, *S)`` already.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    problem: str
    reading: str = ""


def survey_layers(
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
    seen, _ = seen_layers(model, run)
    met = {layer.name: layer for layer in seen}
    layout = Layout(model, input_tensor)
    reports = []
    for name, module in model.named_modules():
        if not name:
            continue
        layer, reading = met.get(name), ""
        if type(module).forward is nn.Module.forward:  # a bare ModuleList or ModuleDict; DenseNet's blocks have one
            problem = "a container, which has no output of its own"
        elif layer is None:
            problem = "did not run on this input"
        elif layer.is_end:
            problem = "is the model's output"
        elif reshape_transform is None:
            problem, reading = _read(form_of(layer, layout, input_tensor))
        else:
            problem = _reshaped(layer, input_tensor, reshape_transform)
        output = None if layer is None else layer.output
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
        reports.append(LayerReport(name, type(module).__name__, shape, problem, reading))
    return reports


def _read(form: Form | str) -> tuple[str, str]:
    if isinstance(form, str):
        return form, ""
    return "", "" if form.order == FIRST else str(form)


def _reshaped(layer: SeenLayer, input_tensor: Tensor, reshape_transform: Callable[[Any], Tensor]) -> str:
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
