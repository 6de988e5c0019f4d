"""Layers as a forward pass runs them: in which order they finish, and what they return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.layers import is_inside_script, refuse_scripted
from pytorch_grad_cam.engine.restore import hooked
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in


@dataclass(frozen=True)
class ExecutedLayer:
    """Describes one layer of a network and its last call in a forward pass.

    Attributes:
        name: dotted.
        module: the layer.
        output: what it returned, its tensors without their numbers (on the device "meta").
        is_model_output: whether it returned what the model returns.
    """

    name: str
    module: nn.Module
    output: Any
    is_model_output: bool


def executed_layers(model: nn.Module, run: Callable[[], Any]) -> tuple[list[ExecutedLayer], Any]:
    """Run the model once and list every layer in the order in which they finish, the last call of each.

    Returns:
        The layers, without the model itself, and what ``run`` returned.

    Raises:
        TypeError: for a scripted or traced model, whose layers cannot be watched.
    """
    names = {module: name for name, module in model.named_modules() if name}
    if any(isinstance(module, torch.jit.ScriptModule) for module in (model, *names)):
        names = {module: name for module, name in names.items() if not is_inside_script(model, name)}
        if all(isinstance(module, torch.jit.ScriptModule) for module in names):
            refuse_scripted()
    calls: dict[nn.Module, tuple[Any, list[ref[Tensor]]]] = {}

    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        calls.pop(module, None)  # a layer used twice stands where it was used last
        calls[module] = map_tensors(output, _without_numbers), [ref(tensor) for tensor in tensors_in(output)]

    with hooked(names, record):
        outputs = run()
    model_outputs = list(tensors_in(outputs))
    layers = [
        ExecutedLayer(
            names[module], module, output, any(alive() is tensor for alive in references for tensor in model_outputs)
        )
        for module, (output, references) in calls.items()
    ]
    return layers, outputs


def _without_numbers(tensor: Tensor) -> Tensor:
    """Return a tensor of the same shape without numbers; one without axes for a nest of rows of different lengths."""
    return torch.empty(() if tensor.is_nested else tensor.shape, dtype=tensor.dtype, device="meta")
