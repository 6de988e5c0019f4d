"""A model that is no module, but is called like one: a wrapper that somebody wrote around a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn


class CalledModel(nn.Module):
    """Runs an object that is called like a network; its children are the modules that the object holds.

    Its other attributes are the object's.

    Args:
        called: from the inputs to the outputs.
        modules: what runs when it is called, by name: these are put in evaluation mode and given back, and their layers
            have names.
    """

    def __init__(self, called: Any, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.called = called
        self.forward = called  # as the model's own, so that its signature can be read
        for name, module in modules.items():
            self._modules[name.replace(".", "_")] = module  # add_module refuses names that the object has

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "called":  # while it is made or copied
                raise
            return getattr(self.called, name)


def as_module(model: Any, target_layers: Any) -> CalledModel:
    """Return a module that runs an object which is none.

    Args:
        model: called like a network, with ``parameters()``, as code for the package ``grad-cam`` asks of it.
        target_layers: what was given; modules that are not found inside the object are taken as its children.

    Raises:
        TypeError: if it is not called like a network.
    """
    if isinstance(model, type) or not callable(model) or not callable(getattr(model, "parameters", None)):
        raise TypeError(
            f"the model must be a torch.nn.Module, not {type(model).__name__}; another object must be called like one "
            "and have parameters()"
        )
    found = dict(_modules_in(getattr(model, "__dict__", {})))
    inside = {module for outer in found.values() for module in outer.modules()}
    layers = target_layers if isinstance(target_layers, (list, tuple)) else [target_layers]
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.Module) and layer not in inside:
            found[f"target_layer_{index}"] = layer
    return CalledModel(model, found)


def _modules_in(named: Mapping[Any, Any]) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules among some values, also those in lists and dicts of these, by name."""
    for name, value in named.items():
        if isinstance(value, nn.Module):
            yield str(name), value
            continue
        inner: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, Mapping):
            inner = value.items()
        elif isinstance(value, (list, tuple)):
            inner = enumerate(value)
        yield from ((f"{name}_{key}", item) for key, item in inner if isinstance(item, nn.Module))
