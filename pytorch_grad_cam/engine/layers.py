"""Layers by name, layers by module, and layers as a forward pass meets them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn
from weakref import ref

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.restore import hooked
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in

LayerSpec = nn.Module | str

_WRAPPED = (("module",), ("_orig_mod",))  # the only child of what DataParallel and torch.compile return

_PLACE = re.compile(r"\[(-?\d+)\]")


@dataclass(frozen=True)
class SeenLayer:
    """One layer as it was met in a forward pass."""

    name: str
    module: nn.Module
    output: Any  # what the layer returned, its tensors without their numbers (on the device "meta")
    is_end: bool  # whether it returned what the model returns


def layer_names(model: nn.Module) -> dict[nn.Module, str]:
    """Return the dotted name of every module inside ``model``."""
    return {module: name or "(the model itself)" for name, module in model.named_modules()}


def layer_name(model: nn.Module, module: nn.Module) -> str:
    """Return the dotted name of ``module`` inside ``model``.

    Raises:
        ValueError: if the module is not part of the model.
    """
    names = layer_names(model)
    if module in names:
        return names[module]
    alike = [name for candidate, name in names.items() if type(candidate) is type(module)]
    hint = f"; the model's own layers of this type are {', '.join(alike[:5])}" if alike else ""
    raise ValueError(
        f"the target layer {type(module).__name__} is not part of the model that was given (a copy, or another "
        f"model's layer?){hint}; take the layer from the same model object, or give its dotted name"
    )


def layer_at(model: nn.Module, name: str) -> nn.Module:
    """Return the layer called ``name``, e.g. ``layer4.2``; ``layer4.-1`` and ``layer4[-1]`` count from the end.

    The name may be that inside a model wrapped by ``DataParallel`` or ``torch.compile``.

    Raises:
        ValueError: if there is none; the message names the closest ones.
    """
    module = model
    parts = name.split(".")
    while parts:
        part = parts.pop(0)
        children = _children(module)
        while part not in children and tuple(children) in _WRAPPED:
            module = next(iter(children.values()))
            children = _children(module)
        if part not in children and _PLACE.search(part):  # not before: a child may have brackets in its name
            parts = [*_PLACE.sub(r".\1", part).lstrip(".").split("."), *parts]
            continue
        if part not in children and re.fullmatch(r"-\d+", part) and len(children) >= -int(part):
            part = list(children)[int(part)]
        if part not in children:
            names = [known for known, _ in model.named_modules(remove_duplicate=False) if known]
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[-3:]
            raise ValueError(f"the model has no layer {name!r}; close names: {', '.join(close)}")
        module = children[part]
    return module


def _children(module: nn.Module) -> dict[str, nn.Module]:
    """Return the direct children by every name they are registered under; ``named_children`` gives one name each."""
    return {name: child for name, child in module._modules.items() if child is not None}


def resolve_layers(model: nn.Module, spec: LayerSpec | Iterable[LayerSpec]) -> list[nn.Module]:
    """Turn one layer or several, each a module or a dotted name, into modules of ``model``.

    A module is one layer, also a ``Sequential``.

    Raises:
        TypeError: if something else is given, or the model is scripted.
        ValueError: if a layer is unknown, cannot be called, or none is given.
    """
    if not isinstance(spec, (nn.Module, str, Iterable)):
        raise TypeError(
            f"target_layers must be a module, its dotted name, or a list of these, not {spec!r}; give e.g. "
            "model.layer4[-1], or None for the automatic choice"
        )
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
        if module is not model and _inside_script(model, name):
            _refuse_scripted()
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

    Raises:
        TypeError: for a scripted or traced model, whose layers cannot be watched.
    """
    names = {module: name for name, module in model.named_modules() if name}
    if any(isinstance(module, torch.jit.ScriptModule) for module in (model, *names)):
        names = {module: name for module, name in names.items() if not _inside_script(model, name)}
        if all(isinstance(module, torch.jit.ScriptModule) for module in names):
            _refuse_scripted()
    seen: dict[nn.Module, tuple[Any, list[ref[Tensor]]]] = {}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        seen.pop(module, None)  # a layer used twice stands where it was used last
        seen[module] = map_tensors(output, _shape_of), [ref(tensor) for tensor in tensors_in(output)]

    with hooked(names, note):
        outputs = run()
    ends = list(tensors_in(outputs))
    layers = [
        SeenLayer(names[module], module, output, any(made() is end for made in alive for end in ends))
        for module, (output, alive) in seen.items()
    ]
    return layers, outputs


def _refuse_scripted() -> NoReturn:
    raise TypeError(
        "the model is scripted or traced (TorchScript), so its layers cannot be watched while it runs; give the "
        "original torch.nn.Module"
    )


def _inside_script(model: nn.Module, name: str) -> bool:
    """Say whether a layer runs inside a module that TorchScript made, which is no Python and calls no hooks."""
    parts = name.split(".")
    outside = [layer_at(model, ".".join(parts[:end])) for end in range(1, len(parts))]
    return any(isinstance(module, torch.jit.ScriptModule) for module in (model, *outside))


def _shape_of(tensor: Tensor) -> Tensor:
    """Return a tensor of the same form without numbers; one without axes for a nest of rows of different lengths."""
    return torch.empty(() if tensor.is_nested else tensor.shape, dtype=tensor.dtype, device="meta")
