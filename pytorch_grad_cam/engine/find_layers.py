"""Layers of a model by type or condition, and layers exchanged for good."""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import nn

from pytorch_grad_cam.engine.layers import registered_children


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
