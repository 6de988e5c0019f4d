"""Layers by name, names by layer, and layers by type or condition, to find them or exchange them for good."""

from __future__ import annotations

import difflib
import logging
import re
import warnings
from collections.abc import Callable, Collection, Iterable
from typing import NoReturn

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from pytorch_grad_cam.common.messages import ContainerLayerWarning, frames_of_ours

log = logging.getLogger(__name__)

LayerSpec = nn.Module | str

AUTOMATIC = "automatic"  # a choice of layers, see `auto_layer`
STAGES = "stages"  # another, see `stages`; also what people write in the place of a layer

_WRAPPER_CHILDREN = (("module",), ("_orig_mod",))  # the only child of what DataParallel and torch.compile return

_INDEX_IN_BRACKETS = re.compile(r"\[(-?\d+)\]")


def network_in(model: nn.Module) -> nn.Module:
    """Return the network inside an object that only manages it, as ``YOLO(...)`` of ultralytics; else the model itself.

    Such an object is a module without a ``forward`` of its own, and has the network as ``model``.
    """
    if isinstance(model, torch.jit.ScriptModule):
        return model
    inner = vars(model).get("_modules", {}).get("model")
    runs = type(model).forward is not nn.Module.forward or "forward" in vars(model)
    return inner if not runs and isinstance(inner, nn.Module) else model


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
        children = registered_children(module)
        while part not in children and tuple(children) in _WRAPPER_CHILDREN:
            module = next(iter(children.values()))
            children = registered_children(module)
        # Not before: a child may have brackets in its name.
        if part not in children and _INDEX_IN_BRACKETS.search(part):
            parts = [*_INDEX_IN_BRACKETS.sub(r".\1", part).lstrip(".").split("."), *parts]
            continue
        if part not in children and re.fullmatch(r"-\d+", part) and len(children) >= -int(part):
            part = list(children)[int(part)]
        if part not in children:
            names = [known for known, _ in model.named_modules(remove_duplicate=False) if known]
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[-3:]
            raise ValueError(f"the model has no layer {name!r}; close names: {', '.join(close)}")
        module = children[part]
    return module


def registered_children(module: nn.Module) -> dict[str, nn.Module]:
    """Return the direct children by every name they are registered under; ``named_children`` gives one name each."""
    return {name: child for name, child in module._modules.items() if child is not None}


def layers_or_choice(
    model: nn.Module, spec: LayerSpec | Iterable[LayerSpec] | None
) -> tuple[list[nn.Module] | None, str]:
    """Return the layers that are given, or None and how they are to be chosen, when there is an input."""
    if isinstance(spec, str) and spec == STAGES:
        if STAGES in registered_children(model):
            log.info("%r is a choice of layers here; the layer of that name is [%r]", STAGES, STAGES)
        return None, STAGES
    return None if spec is None else resolve_layers(model, spec), AUTOMATIC


def resolve_layers(model: nn.Module, spec: LayerSpec | Iterable[LayerSpec]) -> list[nn.Module]:
    """Turn one layer or several, each a module or a dotted name, into modules of ``model``.

    A module is one layer, also a ``Sequential``, which is warned of where the package grad-cam takes it as several; a
    ``ModuleList`` by itself, which has no output, is several.

    Raises:
        TypeError: if something else is given, or the model is scripted.
        ValueError: if a layer is unknown, cannot be called, or none is given.
    """
    if not isinstance(spec, (nn.Module, str, Iterable)):
        raise TypeError(
            f"target_layers must be a module, its dotted name, or a list of these, not {spec!r}; give e.g. "
            "model.layer4[-1], or None for the automatic choice"
        )
    if isinstance(spec, nn.Sequential) and len(spec) > 1:
        _warn_of_container(model, spec)
    one = isinstance(spec, (nn.Module, str)) and not isinstance(spec, nn.ModuleList)
    specs: list[LayerSpec] = [spec] if one else list(spec)  # type: ignore[list-item, arg-type]
    if not specs:
        raise ValueError("no target layer was given; give at least one, or None for the automatic choice")
    modules = []
    for layer in specs:
        if not isinstance(layer, (nn.Module, str)):
            raise TypeError(
                f"a target layer must be a module or its dotted name, not {type(layer).__name__}; "
                "give e.g. model.layer4[-1] or 'layer4.2'"
            )
        module = layer_at(model, layer) if isinstance(layer, str) else layer
        name = layer_name(model, module)
        if module is not model and is_inside_script(model, name):
            refuse_scripted()
        if type(module).forward is nn.Module.forward:  # a bare ModuleList or ModuleDict; DenseNet's blocks have one
            raise ValueError(
                f"the target layer {name!r} is a {type(module).__name__}, which has no output of its own; "
                f"give its members, e.g. '{name}.{next(iter(dict(module.named_children())), '0')}'"
            )
        modules.append(module)
    return modules


def _warn_of_container(model: nn.Module, container: nn.Sequential) -> None:
    """Say that a container given by itself is one layer here, and several with the package grad-cam.

    Raises:
        ValueError: if it is not part of the model.
    """
    name = layer_name(model, container)
    written = "model" if container is model else "model." + re.sub(r"(?:^|\.)(\d+)", r"[\1]", name)
    written = written.replace("model.[", "model[")
    warnings.warn(
        f"the target layer {name!r} is a container of {len(container)} layers, and is explained as one, by what the "
        f"last of them returns. The package grad-cam takes each of them as a layer and averages their maps. Write "
        f"[{written}] for the one, list({written}) for the other",
        ContainerLayerWarning,
        stacklevel=frames_of_ours() + 1,
    )


def refuse_scripted() -> NoReturn:
    """Refuse a model whose layers no hook reaches.

    Raises:
        TypeError: always.
    """
    raise TypeError(
        "the model is scripted or traced (TorchScript), so its layers cannot be watched while it runs; give the "
        "original torch.nn.Module"
    )


def is_inside_script(model: nn.Module, name: str) -> bool:
    """Say whether a layer runs inside a module that TorchScript made, which is no Python and calls no hooks."""
    parts = name.split(".")
    outside = [layer_at(model, ".".join(parts[:end])) for end in range(1, len(parts))]
    return any(isinstance(module, torch.jit.ScriptModule) for module in (model, *outside))


def find_layer_predicate_recursive(model: nn.Module, predicate: Callable[[nn.Module], bool]) -> list[nn.Module]:
    """List the layers inside ``model`` that fulfil a condition, in the order of their definition.

    A layer that is used in two places is listed twice.
    """
    layers = []
    for child in registered_children(model).values():
        layers += [child] if predicate(child) else []
        layers += find_layer_predicate_recursive(child, predicate)
    return layers


def find_layer_types_recursive(model: nn.Module, layer_types: Collection[type[nn.Module]]) -> list[nn.Module]:
    """List the layers inside ``model`` whose type is exactly one of ``layer_types``, e.g. ``[nn.ReLU]``."""
    return find_layer_predicate_recursive(model, lambda layer: type(layer) in layer_types)


def replace_layer_recursive(model: nn.Module, old_layer: nn.Module, new_layer: nn.Module) -> bool:
    """Put ``new_layer`` where ``old_layer`` is found first inside ``model``, which is changed for good.

    Returns:
        Whether it was found.
    """
    for name, child in model._modules.items():  # named_children() would leave out a second name of the same layer
        if child is old_layer:
            setattr(model, name, new_layer)
            return True
        if child is not None and replace_layer_recursive(child, old_layer, new_layer):
            return True
    return False


def replace_all_layer_type_recursive(model: nn.Module, old_layer_type: type[nn.Module], new_layer: nn.Module) -> None:
    """Put the one ``new_layer`` in place of every layer of a type inside ``model``, which is changed for good."""
    for name, child in list(model._modules.items()):
        if isinstance(child, old_layer_type):
            setattr(model, name, new_layer)
        elif child is not None:
            replace_all_layer_type_recursive(child, old_layer_type, new_layer)


def refuse_uninitialized(model: nn.Module) -> None:
    """Refuse a model with lazy layers that have not run yet, because a first pass would make their parameters.

    Raises:
        ValueError: for such a model; the message names the layers.
    """
    names = [
        name or type(module).__name__
        for name, module in model.named_modules()
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params()  # type: ignore[misc]
    ]
    if names:
        raise ValueError(
            f"lazy layers of the model have no parameters yet ({', '.join(names[:3])}); run it once on an input, load "
            "its weights, and explain it then"
        )
