"""Layers by name, layers by module, and the automatic choice of one."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.engine.restore import hooked
from pytorch_grad_cam.engine.trees import tensors_in

LayerSpec = nn.Module | str


@dataclass(frozen=True)
class SeenLayer:
    """One layer as it was met in a forward pass."""

    name: str
    module: nn.Module
    output: Any  # what the layer returned: shapes are read from it, and it is dropped with the record


@dataclass(frozen=True)
class LayerReport:
    """What a layer browser shows of one layer.

    Attributes:
        name: dotted.
        kind: the module's type.
        shape: of its output, without the batch axis; None if it has no single tensor as output.
        problem: why it cannot be a target layer; empty if it can.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    problem: str


def layer_name(model: nn.Module, module: nn.Module) -> str:
    """Return the dotted name of ``module`` inside ``model``.

    Raises:
        ValueError: if the module is not part of the model.
    """
    for name, candidate in model.named_modules():
        if candidate is module:
            return name or "(the model itself)"
    alike = [name for name, candidate in model.named_modules() if type(candidate) is type(module)]
    hint = f"; the model's own layers of this type are {', '.join(alike[:5])}" if alike else ""
    raise ValueError(
        f"the target layer {type(module).__name__} is not part of the model that was given (a copy, or another "
        f"model's layer?){hint}; take the layer from the same model object, or give its dotted name"
    )


def layer_at(model: nn.Module, name: str) -> nn.Module:
    """Return the layer called ``name``, e.g. ``layer4.2``; ``layer4.-1`` and ``layer4[-1]`` count from the end.

    Raises:
        ValueError: if there is none; the message names the closest ones.
    """
    module = model
    for part in re.sub(r"\[(-?\d+)\]", r".\1", name).split("."):
        children = dict(module.named_children())
        if part not in children and re.fullmatch(r"-\d+", part) and len(children) >= -int(part):
            part = list(children)[int(part)]
        if part not in children:
            names = [known for known, _ in model.named_modules() if known]
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[-3:]
            raise ValueError(f"the model has no layer {name!r}; close names: {', '.join(close)}")
        module = children[part]
    return module


def resolve_layers(model: nn.Module, spec: LayerSpec | Iterable[LayerSpec]) -> list[nn.Module]:
    """Turn one layer or several, each a module or a dotted name, into modules of ``model``.

    A module is one layer, also a ``Sequential``.

    Raises:
        TypeError: if something else is given.
        ValueError: if a layer is unknown, cannot be called, or none is given.
    """
    given = [spec] if isinstance(spec, (nn.Module, str)) else list(spec)
    if not given:
        raise ValueError("no target layer was given; give at least one, or None for the automatic choice")
    modules = []
    for item in given:
        if not isinstance(item, (nn.Module, str)):
            raise TypeError(
                f"a target layer must be a module or its dotted name, not {type(item).__name__}; "
                "give e.g. model.layer4[-1] or 'layer4.2'"
            )
        module = layer_at(model, item) if isinstance(item, str) else item
        name = layer_name(model, module)
        if type(module).forward is nn.Module.forward:  # a bare ModuleList or ModuleDict; DenseNet's blocks have one
            raise ValueError(
                f"the target layer {name!r} is a {type(module).__name__}, which has no output of its own; "
                f"give its members, e.g. '{name}.{next(iter(dict(module.named_children())), '0')}'"
            )
        modules.append(module)
    return modules


def seen_layers(model: nn.Module, run: Callable[[], Any]) -> tuple[list[SeenLayer], Any]:
    """Run the model once and list every layer in the order in which they finish, the last call of each.

    Returns:
        The layers, without the model itself, and what ``run`` returned.
    """
    names = {module: name for name, module in model.named_modules() if name}
    seen: dict[nn.Module, SeenLayer] = {}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        seen.pop(module, None)  # a layer used twice stands where it was used last
        seen[module] = SeenLayer(names[module], module, output)

    with hooked(names, note):
        outputs = run()
    return list(seen.values()), outputs


def last_spatial_layer(model: nn.Module, run: Callable[[], Any], input_tensor: Tensor) -> SeenLayer:
    """Find the last layer whose output still has positions: ``(B, C, *S)`` with more than one.

    Args:
        model: the network.
        run: one forward pass on the user's own input.
        input_tensor: ``(B, C, *S)``, the input that ``run`` uses.

    Raises:
        ValueError: if there is none, or if the network goes on in tokens, which need a layer and a reshape_transform.
    """
    seen, outputs = seen_layers(model, run)
    ends = {id(tensor) for tensor in tensors_in(outputs)}
    batch, rank = input_tensor.shape[0], input_tensor.ndim
    tokens = None
    for layer in reversed(seen):
        output = layer.output
        if not isinstance(output, Tensor) or id(output) in ends or output.shape[0] != batch:
            continue
        if output.ndim == rank and math.prod(output.shape[2:]) > 1:
            if tokens:
                raise ValueError(
                    f"no target layer can be chosen for this network: after its last spatial layer {layer.name!r} it "
                    f"goes on in tokens (B, N, C), as {tokens!r} returns them; give target_layers (often the first "
                    "norm of the last block) and a reshape_transform"
                )
            return layer
        if output.ndim == 3 and rank == 4 and output.shape[1] > 1:
            tokens = layer.name
    raise ValueError(
        f"no layer of {type(model).__name__} returns (B, C, *S) with more than one position for an input of shape "
        f"{tuple(input_tensor.shape)}; give target_layers, and a reshape_transform if the output has another form"
    )


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
        reshape_transform: applied to what is not ``(B, C, *S)``; None if there is none.
    """
    seen, outputs = seen_layers(model, run)
    met = {layer.name: layer.output for layer in seen}
    ends = {id(tensor) for tensor in tensors_in(outputs)}
    reports = []
    for name, module in model.named_modules():
        if not name:
            continue
        output = met.get(name)
        if type(module).forward is nn.Module.forward:  # a bare ModuleList or ModuleDict; DenseNet's blocks have one
            problem = "a container, which has no output of its own"
        elif name not in met:
            problem = "did not run on this input"
        else:
            problem = _problem(output, ends, input_tensor, reshape_transform)
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
        reports.append(LayerReport(name, type(module).__name__, shape, problem))
    return reports


def _problem(
    output: Any, ends: set[int], input_tensor: Tensor, reshape_transform: Callable[[Any], Tensor] | None
) -> str:
    """Say why an output is not ``(B, C, *S)`` with more than one position; an empty text if it is."""
    if isinstance(output, Tensor) and id(output) in ends:
        return "is the model's output"
    if reshape_transform is not None and not _has_positions(output, input_tensor):
        try:
            output = reshape_transform(output)
        except Exception:  # it was made for other layers, and may fail in any way
            return "the model's reshape_transform does not take its output"
    if not isinstance(output, Tensor):
        return f"returns a {type(output).__name__}: needs a reshape_transform"
    if output.ndim < 1 or output.shape[0] != input_tensor.shape[0]:
        return "its first axis is not the batch: needs a reshape_transform"
    if _has_positions(output, input_tensor):
        return ""
    if output.ndim == 3 and input_tensor.ndim == 4 and output.shape[1] > 1:
        return "returns tokens (B, N, C): needs a reshape_transform"
    if output.ndim < input_tensor.ndim:
        return "has no positions"
    return "has one position only" if output.ndim == input_tensor.ndim else "has more axes than the input"


def _has_positions(output: Any, input_tensor: Tensor) -> bool:
    return (
        isinstance(output, Tensor)
        and output.ndim == input_tensor.ndim
        and output.shape[0] == input_tensor.shape[0]
        and math.prod(output.shape[2:]) > 1
    )
