"""The automatic choice of a target layer, by what one forward pass on the user's own input shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd

from pytorch_grad_cam.common.errors import UnreadableOutputError
from pytorch_grad_cam.engine.families import AUXILIARY, LAYERS, MIXERS, PACKAGES
from pytorch_grad_cam.engine.layers import SeenLayer, layer_at, seen_layers
from pytorch_grad_cam.engine.layout import LAST, TOKENS, Form, Layout, is_norm
from pytorch_grad_cam.engine.trees import tensors_in

_HAND_ON = (nn.Identity, _DropoutNd, _AvgPoolNd, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd)
_BLOCKS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)


@dataclass(frozen=True)
class _Usable:
    """A layer with positions, where it stands in the order in which layers finish, and how its output is read."""

    layer: SeenLayer
    when: int
    form: Form

    @property
    def name(self) -> str:
        return self.layer.name


def automatic_layer(model: nn.Module, run: Callable[[], Any], inputs: Tensor) -> SeenLayer:
    """Choose the layer that people look at: the last whose positions all matter to the scores.

    In a convolutional network that is the last part before positions are pooled or scored; in a transformer whose
    head reads single tokens, the first norm of the last block, behind which patches no longer matter; in any other,
    the last norm.

    Args:
        model: the network.
        run: one forward pass on the user's own input, without graph.
        inputs: ``(B, C, *S)``, what ``run`` uses.

    Raises:
        ValueError: if no layer has positions, or none whose positions matter can be told; the message lists some.
    """
    seen, outputs = seen_layers(model, run)
    usable = list(_usable(seen, model, inputs))
    by_name = {each.name: each for each in usable}
    for name in _known(model):
        if name in by_name and not _hands_on(by_name[name], usable):
            return by_name[name].layer
    scored, pooling = _scored_from(seen, usable, outputs), _pooling(model, seen, usable)
    maps = [each for each in usable if not _hands_on(each, usable) and not each.name.startswith(pooling)]
    trunk = [each for each in maps if each.when < scored] or maps
    if not trunk:
        raise ValueError(
            f"no layer of {type(model).__name__} returns (B, C, *S) with more than one position for an input of shape "
            f"{tuple(inputs.shape)}, nor tokens in a grid; give target_layers, and a reshape_transform if the output "
            "has another form"
        )
    if not trunk[-1].form.prefix:
        return trunk[-1].layer
    found = _before_last_mixing(model, seen, usable) or next(
        (each for each in trunk[::-1] if not each.form.prefix), None
    )
    if found is None:
        raise ValueError(
            f"no target layer can be chosen: the patches of {trunk[-1].name!r} stand beside {trunk[-1].form.prefix} "
            "other tokens, which may be all that the head reads, and no block with a norm at its beginning was found; "
            f"give target_layers, e.g. one of {', '.join(each.name for each in trunk[-8:])}"
        )
    return found.layer


def _usable(seen: Sequence[SeenLayer], model: nn.Module, inputs: Tensor) -> Iterator[_Usable]:
    """Yield the layers whose output is one tensor with positions, in order."""
    layout = Layout(model, inputs)
    for when, layer in enumerate(seen):
        if not isinstance(layer.output, Tensor) or layer.is_end or _auxiliary(layer.name):
            continue
        form = form_of(layer, layout, inputs)
        if isinstance(form, Form):
            yield _Usable(layer, when, form)


def form_of(layer: SeenLayer, layout: Layout, inputs: Tensor) -> Form | str:
    """Say how a layer's output is read, or in words why it has no positions to look at."""
    try:
        tensor = layout.tensor_of(layer.output)
        if not tensor.ndim or tensor.shape[0] != inputs.shape[0]:
            return "its first axis is not the batch: needs a reshape_transform"
        if tensor.ndim < min(3, inputs.ndim):
            return "has no positions"
        form = layout.form_of(tensor, [layer.module])
    except UnreadableOutputError as error:
        return f"returns {error.returned}"
    if tensor.ndim > inputs.ndim:
        return "has more axes than the input"
    if len(form.grid) != inputs.ndim - 2:
        return "has no positions"
    return form if math.prod(form.grid) > 1 else "has one position only"


def _known(model: nn.Module) -> Iterator[str]:
    """Yield the names that the network's family gives such layers, also inside wrappers that add nothing."""
    prefix = ""
    while type(model).__name__ not in LAYERS or type(model).__module__.partition(".")[0] not in PACKAGES:
        children = [(name, child) for name, child in model.named_children() if any(True for _ in child.parameters())]
        if len(children) != 1 or any(True for _ in model.parameters(recurse=False)) or isinstance(model, _BLOCKS):
            return
        prefix, model = f"{prefix}{children[0][0]}.", children[0][1]
    for name in LAYERS[type(model).__name__]:
        yield prefix + name


def _scored_from(seen: Sequence[SeenLayer], usable: Sequence[_Usable], outputs: Any) -> int:
    """Find where maps become class scores: at the last weights, if those make one map per class.

    Returns:
        The place in the order of layers; one after the last if the scores are made without positions.
    """
    classes = {tensor.shape[1] for tensor in tensors_in(outputs) if tensor.ndim > 1}
    weighted = [when for when, layer in enumerate(seen) if _weighted(layer.module) and not _auxiliary(layer.name)]
    for each in usable:
        if weighted and each.when == weighted[-1]:
            shape = each.layer.output.shape
            if (shape[1] if each.form.order not in (LAST, TOKENS) else shape[-1]) in classes:
                return each.when
            # Heads side by side, put together to one output per position or to boxes: all of that part scores.
            boxes = isinstance(outputs, (list, tuple)) and any(
                isinstance(one, Mapping) and "boxes" in one for one in outputs
            )
            if boxes or any(tuple(tensor.shape[2:]) == each.form.grid for tensor in tensors_in(outputs)):
                return _beginning_of_part(each, usable)
    return len(seen)


def _beginning_of_part(last: _Usable, usable: Sequence[_Usable]) -> int:
    """Return where the largest part of the network begins that holds ``last`` and does not hold every other layer."""
    names = last.name.split(".")
    for depth in range(1, len(names) + 1):
        part = ".".join(names[:depth]) + "."
        inside = [each for each in usable if f"{each.name}.".startswith(part)]
        if len(inside) < len(usable):
            return inside[0].when
    return last.when


def _pooling(model: nn.Module, seen: Sequence[SeenLayer], usable: Sequence[_Usable]) -> tuple[str, ...]:
    """Find the parts that pool by attention: their inner layers still have positions, what they return has none."""
    places = {each.name for each in usable}
    mixers = [each for each in seen if each.name not in places and _mixes(each.module, each.name.rpartition(".")[2])]
    return tuple(f"{each.name}." for each in mixers if not isinstance(_parent(model, each.name), _BLOCKS))


def _weighted(module: nn.Module) -> bool:
    return isinstance(module, (_ConvNd, nn.Linear))


def _auxiliary(name: str) -> bool:
    return any(part.lower().startswith(AUXILIARY) for part in name.split("."))


def _hands_on(each: _Usable, usable: Sequence[_Usable]) -> bool:
    """Say whether a layer only pools, drops or rearranges what an earlier one returned."""
    module = each.layer.module
    if isinstance(module, _HAND_ON):
        return True
    if any(True for _ in module.parameters()) or any(True for _ in module.children()):
        return False
    before = next((one for one in usable[::-1] if one.when < each.when), None)
    if before is None:
        return False
    one, two = before.layer.output.shape, each.layer.output.shape
    return bool(one != two and math.prod(one) == math.prod(two))


def _before_last_mixing(model: nn.Module, seen: Sequence[SeenLayer], usable: Sequence[_Usable]) -> _Usable | None:
    """Find the norm that the last block begins with or, where norms come after attention, the block before."""
    tokens = {each.name: each for each in usable if each.form.order == TOKENS}
    finished = {layer.name: when for when, layer in enumerate(seen)}
    blocks = [layer.name for layer in seen if isinstance(_parent(model, layer.name), _BLOCKS)]
    for block in blocks[::-1]:
        inside = [each for each in tokens.values() if each.name.startswith(f"{block}.")]
        norms = [each for each in inside if is_norm(each.layer.module) and each.name.count(".") == block.count(".") + 1]
        if not norms or not any(each.when > norms[0].when for each in inside):
            continue
        before = [layer for layer in seen[: norms[0].when] if layer.name.startswith(f"{block}.")]
        alike = [layer for layer in before if _same_tokens(layer, norms[0])]
        if not any(_mixes(layer.module, layer.name.removeprefix(block)) for layer in alike):
            return norms[0]
        earlier = [tokens[name] for name in blocks if name in tokens and finished[name] < finished[before[0].name]]
        return earlier[-1] if earlier else None
    siblings = [tokens[name] for name in blocks if name in tokens]
    return siblings[-2] if len(siblings) > 1 else None


def _same_tokens(layer: SeenLayer, norm: _Usable) -> bool:
    return any(tensor.shape[:2] == norm.layer.output.shape[:2] for tensor in tensors_in(layer.output))


def _mixes(module: nn.Module, name: str) -> bool:
    return any(part in text for part in MIXERS for text in (type(module).__name__.lower(), name.lower()))


def _parent(model: nn.Module, name: str) -> nn.Module:
    return layer_at(model, name.rpartition(".")[0]) if "." in name else model
