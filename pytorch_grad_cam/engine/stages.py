"""The stages of a network: one layer for each step on the way from the input to what is scored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from pytorch_grad_cam.engine.auto_layer import automatic_layer, automatic_layers
from pytorch_grad_cam.engine.executed_layers import ExecutedLayer, executed_layers
from pytorch_grad_cam.engine.layers import STAGES, layer_at
from pytorch_grad_cam.engine.layout import TOKENS, InferredReshapeTransform, TensorLayout, is_norm

MOST = 12  # stages; of more, as many at equal distances
_TOGETHER = 3  # layers whose maps are averaged
_FEW = 3  # resolutions; with fewer, the layers with weights are the stages
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_WEIGHTED = (_ConvNd, nn.Linear)


@dataclass(frozen=True)
class _Place:
    """Says when a layer with positions finished, and how its output is laid out."""

    order: int
    layout: TensorLayout


def stage_layers(
    model: nn.Module,
    run: Callable[[], Any],
    inputs: Tensor,
    reshape_transform: Callable[[Any], Tensor] | None = None,
    last: nn.Module | None = None,
) -> list[nn.Module]:
    """Choose the layers at which a sweep looks: the last of each resolution, or what each block begins or ends with.

    In a network that shrinks its input step by step, the last layer of each resolution. In a transformer the first norm
    of each block, behind which single tokens may be all that is read. Elsewhere what follows each layer with weights.

    Args:
        model: the network.
        run: one forward pass on ``inputs``, without graph; it is called twice.
        inputs: ``(B, C, *S)``.
        reshape_transform: from a layer's output to ``(B, C, *s)``; only layers that it takes count. None: by shapes.
        last: the layer that the sweep ends with; None takes the automatic one.

    Returns:
        At most `MOST` layers, in the order in which they run.

    Raises:
        ValueError: if no layer has positions.
    """
    if last is None:
        last = automatic_layer(model, run, inputs).module
    names, _ = _stages(model, run, inputs, reshape_transform, last)
    return [layer_at(model, name) for name in _thinned(names, MOST)]


def chosen_layers(
    choice: str,
    model: nn.Module,
    run: Callable[[], Any],
    inputs: Tensor,
    reshape_transform: Callable[[Any], Tensor] | None = None,
) -> list[nn.Module]:
    """Return the target layers by one of the choices in ``engine.layers``; other arguments as for `stage_layers`."""
    if choice == STAGES:
        return resolution_layers(model, run, inputs, reshape_transform)
    return [layer.module for layer in automatic_layers(model, run, inputs)]


def resolution_layers(
    model: nn.Module,
    run: Callable[[], Any],
    inputs: Tensor,
    reshape_transform: Callable[[Any], Tensor] | None = None,
) -> list[nn.Module]:
    """Choose up to three layers whose maps together are sure and sharp: the last of each of the last resolutions.

    Where all stages have one resolution, as the blocks of a plain transformer, three that are spread over the depth. In
    a detector what feeds its head, where that is several layers already. They end with the automatic choice.

    Args:
        model, run, inputs, reshape_transform: as for `stage_layers`.

    Returns:
        One layer or more, in the order in which they run.

    Raises:
        ValueError: if no layer has positions.
    """
    automatic = automatic_layers(model, run, inputs)
    if len(automatic) > 1:
        return [layer.module for layer in automatic]
    names, places = _stages(model, run, inputs, reshape_transform, automatic[0].module)
    groups = [list(group) for _, group in itertools.groupby(names, lambda name: places[name].layout.grid)]
    chosen = [group[-1] for group in groups][-_TOGETHER:] if len(groups) > 1 else _thinned(names, _TOGETHER)
    return [layer_at(model, name) for name in chosen]


def _stages(
    model: nn.Module,
    run: Callable[[], Any],
    inputs: Tensor,
    reshape_transform: Callable[[Any], Tensor] | None,
    last: nn.Module,
) -> tuple[list[str], dict[str, _Place]]:
    """Return the names of all stages up to a layer, and where the layers with positions finish."""
    executed, _ = executed_layers(model, run)
    end = next((order for order, layer in enumerate(executed) if layer.module is last), len(executed) - 1)
    places = _places(executed[: end + 1], model, inputs, reshape_transform)
    final = executed[end].name
    if final in places and places[final].layout.order == TOKENS:
        names = _block_beginnings(executed, places, model)
    else:
        names = _resolutions(places, model)
    names = [name for name in names if not final.startswith(f"{name}.")]
    inside = bool(names) and names[-1].startswith(f"{final}.")
    if inside and (final not in places or places[names[-1]].layout.grid == places[final].layout.grid):
        names.pop()  # unless the final part pools what it returned, as in VGG
    return list(dict.fromkeys([*names, final])), places


def _places(
    executed: Sequence[ExecutedLayer],
    model: nn.Module,
    inputs: Tensor,
    reshape_transform: Callable[[Any], Tensor] | None,
) -> dict[str, _Place]:
    """Return the layers whose output is one tensor with positions, by name, in the order in which they finish."""
    read: Callable[[ExecutedLayer], TensorLayout | str]
    if reshape_transform is None:
        inferred = InferredReshapeTransform(model, inputs)

        def read(layer: ExecutedLayer) -> TensorLayout | str:
            return inferred.layout_or_problem(layer.output, layer.module)

    else:

        def read(layer: ExecutedLayer) -> TensorLayout | str:
            return _after(reshape_transform, layer.output, inputs)

    found = {}
    for order, layer in enumerate(executed):
        layout = read(layer) if isinstance(layer.output, Tensor) and not layer.is_model_output else ""
        if isinstance(layout, TensorLayout):
            found[layer.name] = _Place(order, layout)
    return found


def _after(reshape_transform: Callable[[Any], Tensor], output: Tensor, inputs: Tensor) -> TensorLayout | str:
    """Say how an output lies after a transform that was made for some layers, and may fail in any way at others."""
    try:
        changed = reshape_transform(output)
    except Exception as error:
        return str(error)
    fits = changed.ndim == inputs.ndim and len(changed) == len(inputs) and changed[0, 0].numel() > 1
    return TensorLayout(TOKENS if output.ndim == 3 else "", tuple(changed.shape[2:])) if fits else "no map"


def _block_beginnings(executed: Sequence[ExecutedLayer], places: Mapping[str, _Place], model: nn.Module) -> list[str]:
    """Return the first norm of each block of tokens; of a block that begins otherwise, the block itself."""
    blocks: list[str] = []
    for layer in sorted(executed, key=lambda layer: layer.name.count(".")):
        parent = layer_at(model, layer.name.rpartition(".")[0]) if "." in layer.name else model
        outermost = not any(layer.name.startswith(f"{block}.") for block in blocks)
        mixes = any(name.startswith(f"{layer.name}.") and places[name].layout.order == TOKENS for name in places)
        if isinstance(parent, _CONTAINERS) and outermost and mixes:
            blocks.append(layer.name)
    chosen = []
    for block in blocks:
        inside = [name for name in places if name.startswith(f"{block}.") and name.count(".") == block.count(".") + 1]
        first = inside[0] if inside and is_norm(layer_at(model, inside[0])) else block
        if first in places:
            chosen.append(first)
    return sorted(chosen, key=lambda name: places[name].order)


def _resolutions(places: Mapping[str, _Place], model: nn.Module) -> list[str]:
    """Return the last part of each resolution; where there are few, what follows each layer with weights."""
    units = _in_order(_units(model, "", places, lambda _, grids: len(grids) >= _FEW), places)
    groups = [list(group) for _, group in itertools.groupby(units, lambda name: places[name].layout.grid)]
    groups = [group for group in groups if any(_has_weights(model, name) for name in group)]
    if len(groups) >= _FEW:
        return [group[-1] for group in groups]
    units = _in_order(_units(model, "", places, lambda module, _: isinstance(module, _CONTAINERS)), places)
    by_weights: list[str] = []
    for name in units:
        if by_weights and not any(isinstance(part, _WEIGHTED) for part in layer_at(model, name).modules()):
            by_weights[-1] = name  # what follows belongs to the layer with weights before it
        else:
            by_weights.append(name)
    return by_weights


def _units(
    module: nn.Module, prefix: str, places: Mapping[str, _Place], opens: Callable[[nn.Module, set[Any]], bool]
) -> Iterator[str]:
    """Yield the parts of a network that count as one, from the outside in; ``opens`` says which are looked into."""
    for child_name, child in module.named_children():
        name = f"{prefix}{child_name}"
        grids = {place.layout.grid for other, place in places.items() if f"{other}.".startswith(f"{name}.")}
        if name in places and not opens(child, grids):
            yield name
        elif grids:
            yield from _units(child, f"{name}.", places, opens)


def _in_order(names: Iterator[str], places: Mapping[str, _Place]) -> list[str]:
    return sorted(names, key=lambda name: places[name].order)


def _has_weights(model: nn.Module, name: str) -> bool:
    return any(True for _ in layer_at(model, name).parameters())


def _thinned(names: Sequence[str], most: int) -> list[str]:
    """Return at most so many names, at equal distances, the last among them."""
    if len(names) <= most:
        return list(names)
    return [names[round((index + 1) * len(names) / most) - 1] for index in range(most)]
