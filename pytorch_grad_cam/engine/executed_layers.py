"""Layers as a forward pass runs them: in which order they finish, what they return, which can be looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.layers import is_inside_script, refuse_scripted
from pytorch_grad_cam.engine.layout import CHANNELS_FIRST, InferredReshapeTransform
from pytorch_grad_cam.engine.restore import giving_back, hooked
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in


@dataclass(frozen=True)
class TakenTensor:
    """Describes a tensor that a layer was called with.

    Attributes:
        shape: of it.
        makers: names of the layers that returned this very tensor, in the order in which they finished; none where it
            was made between layers.
    """

    shape: tuple[int, ...]
    makers: tuple[str, ...]


@dataclass(frozen=True)
class ExecutedLayer:
    """Describes one layer of a network and its last call in a forward pass.

    Attributes:
        name: dotted.
        module: the layer.
        output: what it returned, its tensors without their numbers (on the device "meta").
        is_model_output: whether it returned what the model returns.
        inputs: the tensors among its positional arguments.
    """

    name: str
    module: nn.Module
    output: Any
    is_model_output: bool
    inputs: tuple[TakenTensor, ...] = ()


@giving_back
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
    calls: dict[nn.Module, tuple[Any, list[ref[Tensor]], tuple[TakenTensor, ...]]] = {}
    makers: dict[int, tuple[ref[Tensor], tuple[str, ...]]] = {}  # by a tensor's id, which another has when it is gone

    def makers_of(tensor: Tensor) -> tuple[str, ...]:
        alive, names_of = makers.get(id(tensor), (None, ()))
        return names_of if alive is not None and alive() is tensor else ()

    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        taken = tuple(TakenTensor(_shape(tensor), makers_of(tensor)) for tensor in tensors_in(inputs))
        for tensor in tensors_in(output):
            makers[id(tensor)] = ref(tensor), (*makers_of(tensor), names[module])
        calls.pop(module, None)  # a layer used twice stands where it was used last
        calls[module] = map_tensors(output, _without_numbers), [ref(tensor) for tensor in tensors_in(output)], taken

    with hooked(names, record):
        outputs = run()
    ends = {id(tensor) for tensor in tensors_in(outputs)}
    return [
        ExecutedLayer(names[module], module, output, any(id(alive()) in ends for alive in references), taken)
        for module, (output, references, taken) in calls.items()
    ], outputs


def _without_numbers(tensor: Tensor) -> Tensor:
    """Return a tensor of the same shape without numbers; one without axes for a nest of rows of different lengths."""
    return torch.empty(_shape(tensor), dtype=tensor.dtype, device="meta")


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return () if tensor.is_nested else tuple(tensor.shape)


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
            read = inferred.layout_or_problem(layer.output, layer.module)
            problem = read if isinstance(read, str) else ""
            layout = "" if isinstance(read, str) or read.order == CHANNELS_FIRST else str(read)
        else:
            problem = _reshaping_problem(layer, input_tensor, reshape_transform)
        output = None if layer is None else layer.output
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
        reports.append(LayerReport(name, type(module).__name__, shape, problem, layout))
    return reports


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
    if not isinstance(output, Tensor) or output.ndim != input_tensor.ndim:
        return False
    return output.shape[0] == input_tensor.shape[0] and math.prod(output.shape[2:]) > 1
