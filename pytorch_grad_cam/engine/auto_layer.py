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

from pytorch_grad_cam.engine.executed_layers import ExecutedLayer, executed_layers
from pytorch_grad_cam.engine.head_inputs import head_inputs
from pytorch_grad_cam.engine.layers import layer_at
from pytorch_grad_cam.engine.layout import CHANNELS_FIRST, TOKENS, InferredReshapeTransform, TensorLayout, is_norm
from pytorch_grad_cam.engine.trees import tensors_in

# Names that families of networks give their parts. Names only: whoever reads them looks whether they are there.

# Packages whose classes are meant: somebody's own ResNet may have a fifth layer.
_PACKAGES = ("torchvision", "timm")
# Class of a network -> the layers that people look at, the best first. All others are judged by their shapes.
_FAMILY_LAYERS: dict[str, tuple[str, ...]] = {
    "ResNet": ("layer4",),  # also those that end in attention pooling
    "ByobNet": ("final_conv", "stages"),
    "VGG": ("features",),
    "AlexNet": ("features",),
    "SqueezeNet": ("features",),
}
# Beginnings of the names of parts that help in training only: what they return is not what the score is made of.
_AUXILIARY = ("aux",)
# Parts of the names of modules that let tokens look at each other.
_TOKEN_MIXERS = ("att", "mixer")

_POOLING_AND_DROPOUT = (nn.Identity, _DropoutNd, _AvgPoolNd, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd)
_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)


@dataclass(frozen=True)
class _Candidate:
    """Describes a layer with positions."""

    layer: ExecutedLayer
    order: int  # its place in the order in which all layers finish
    layout: TensorLayout  # of its output

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.layer.output.shape)


def automatic_layer(model: nn.Module, run: Callable[[], Any], inputs: Tensor) -> ExecutedLayer:
    """Choose one layer, see `automatic_layers`; of the several scales of a detector the last, which sees the most."""
    return automatic_layers(model, run, inputs)[-1]


def automatic_layers(model: nn.Module, run: Callable[[], Any], inputs: Tensor) -> list[ExecutedLayer]:
    """Choose the layer that people look at: the last whose positions all matter to the scores.

    In a convolutional network that is the last part before positions are pooled or scored; in a transformer whose
    head reads single tokens, the first norm of the last block, behind which patches no longer matter; in any other,
    the last norm. In a detector it is what feeds the head that scores each position: several layers where that takes
    maps of several scales, in the order in which they finish.

    Args:
        model: the network.
        run: one forward pass on the user's own input, without graph.
        inputs: ``(B, C, *S)``, what ``run`` uses.

    Raises:
        ValueError: if no layer has positions, or none whose positions matter can be told; the message lists some.
    """
    executed, outputs = executed_layers(model, run)
    candidates = list(_candidates(executed, model, inputs))
    by_name = {candidate.name: candidate for candidate in candidates}
    for name in _family_layers(model):
        if name in by_name and not _only_passes_on(by_name[name], candidates):
            return [by_name[name].layer]
    feeding = _feeding_a_head(executed, candidates, outputs, model, inputs)
    if feeding:
        return feeding
    trunk = _trunk(model, executed, candidates, outputs)
    if not trunk:
        raise ValueError(
            f"no layer of {type(model).__name__} returns (B, C, *S) with more than one position for an input of shape "
            f"{tuple(inputs.shape)}, nor tokens in a grid; give target_layers, and a reshape_transform if the output "
            "has another form"
        )
    if not trunk[-1].layout.prefix:
        return [trunk[-1].layer]
    chosen = _before_last_attention(model, executed, candidates) or next(
        (candidate for candidate in reversed(trunk) if not candidate.layout.prefix), None
    )
    if chosen is None:
        raise ValueError(
            f"no target layer can be chosen: the patches of {trunk[-1].name!r} stand beside {trunk[-1].layout.prefix} "
            "other tokens, which may be all that the head reads, and no block with a norm at its beginning was found; "
            f"give target_layers, e.g. one of {', '.join(candidate.name for candidate in trunk[-8:])}"
        )
    return [chosen.layer]


def _candidates(
    executed: Sequence[ExecutedLayer], model: nn.Module, inputs: Tensor, also_outputs: bool = False
) -> Iterator[_Candidate]:
    """Yield the layers whose output is one tensor with positions, in order."""
    reshape = InferredReshapeTransform(model, inputs)
    for order, layer in enumerate(executed):
        if not isinstance(layer.output, Tensor) or _is_auxiliary(layer.name):
            continue
        if layer.is_model_output and not also_outputs:
            continue
        layout = reshape.layout_or_problem(layer.output, layer.module)
        if isinstance(layout, TensorLayout):
            yield _Candidate(layer, order, layout)


def _family_layers(model: nn.Module) -> Iterator[str]:
    """Yield the names that the network's family gives such layers, also inside wrappers that add nothing."""
    prefix = ""
    while type(model).__name__ not in _FAMILY_LAYERS or type(model).__module__.partition(".")[0] not in _PACKAGES:
        children = [(name, child) for name, child in model.named_children() if any(True for _ in child.parameters())]
        if len(children) != 1 or any(True for _ in model.parameters(recurse=False)) or isinstance(model, _CONTAINERS):
            return
        prefix, model = f"{prefix}{children[0][0]}.", children[0][1]
    for name in _FAMILY_LAYERS[type(model).__name__]:
        yield prefix + name


def _only_passes_on(candidate: _Candidate, candidates: Sequence[_Candidate]) -> bool:
    """Say whether a layer only pools, drops or rearranges what an earlier one returned."""
    module = candidate.layer.module
    if isinstance(module, _POOLING_AND_DROPOUT):
        return True
    if any(True for _ in module.parameters()) or any(True for _ in module.children()):
        return False
    before = next((other for other in reversed(candidates) if other.order < candidate.order), None)
    if before is None:
        return False
    return before.shape != candidate.shape and math.prod(before.shape) == math.prod(candidate.shape)


def _trunk(
    model: nn.Module, executed: Sequence[ExecutedLayer], candidates: Sequence[_Candidate], outputs: Any
) -> list[_Candidate]:
    """Return the layers that make something of their input, up to where positions are pooled or scored."""
    pooling = _attention_pooling(model, executed, candidates)
    makers = [candidate for candidate in candidates if not _only_passes_on(candidate, candidates)]
    maps = [candidate for candidate in makers if not candidate.name.startswith(pooling)]
    scoring = _start_of_scoring(executed, candidates, outputs)
    return [candidate for candidate in maps if candidate.order < scoring] or maps


def _attention_pooling(
    model: nn.Module, executed: Sequence[ExecutedLayer], candidates: Sequence[_Candidate]
) -> tuple[str, ...]:
    """Find the parts that pool by attention: their inner layers still have positions, what they return has none."""
    with_positions = {candidate.name for candidate in candidates}
    return tuple(
        f"{layer.name}."
        for layer in executed
        if layer.name not in with_positions
        and _mixes_tokens(layer.module, layer.name.rpartition(".")[2])
        and not isinstance(_parent(model, layer.name), _CONTAINERS)
    )


def _feeding_a_head(
    executed: Sequence[ExecutedLayer], candidates: Sequence[_Candidate], outputs: Any, model: nn.Module, inputs: Tensor
) -> list[ExecutedLayer]:
    """Return what feeds the head of a detector, which scores each position by heads side by side; else nothing."""
    weighted = _weighted(executed)
    if not weighted or not _scores_positions(executed[weighted[-1]], candidates, outputs, inputs):
        return []
    usable = {candidate.name for candidate in _candidates(executed, model, inputs, also_outputs=True)}
    by_name = {layer.name: layer for layer in executed}
    return [by_name[name] for name in head_inputs(executed, executed[weighted[-1]], usable)]


def _scores_positions(last: ExecutedLayer, candidates: Sequence[_Candidate], outputs: Any, inputs: Tensor) -> bool:
    """Say whether a network's last weights belong to heads that score positions, put together to boxes or rows."""
    if not isinstance(last.module, _ConvNd):
        return _has_boxes(outputs)
    tensors = list(tensors_in(outputs))
    if inputs.ndim > 3 and tensors and tensors[0].ndim == 3:  # the positions of all scales in one row: (B, 4 + M, N)
        return True
    layout = next((candidate.layout for candidate in candidates if candidate.layer is last), None)
    if layout is None or last.output.shape[1] in {tensor.shape[1] for tensor in tensors if tensor.ndim > 1}:
        return False  # a map for each class, as of a segmentation network
    return _has_boxes(outputs) or any(tuple(tensor.shape[2:]) == layout.grid for tensor in tensors)


def _has_boxes(outputs: Any) -> bool:
    records = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return any(isinstance(record, Mapping) and "boxes" in record for record in records)


def _weighted(executed: Sequence[ExecutedLayer]) -> list[int]:
    """Return the places of the layers with weights, without those that help in training only."""
    return [
        order
        for order, layer in enumerate(executed)
        if isinstance(layer.module, (_ConvNd, nn.Linear)) and not _is_auxiliary(layer.name)
    ]


def _start_of_scoring(executed: Sequence[ExecutedLayer], candidates: Sequence[_Candidate], outputs: Any) -> int:
    """Find where in the order maps become class scores: at the last weights, if those make one map per class.

    It is one place after the last layer if the scores are made without positions.
    """
    last = next((candidate for candidate in candidates if candidate.order in _weighted(executed)[-1:]), None)
    if last is None:
        return len(executed)
    classes = {tensor.shape[1] for tensor in tensors_in(outputs) if tensor.ndim > 1}
    return last.order if last.shape[1 if last.layout.order == CHANNELS_FIRST else -1] in classes else len(executed)


def _before_last_attention(
    model: nn.Module, executed: Sequence[ExecutedLayer], candidates: Sequence[_Candidate]
) -> _Candidate | None:
    """Find the last tokens that still exchange information: the last block's attention is what follows them.

    In a block that begins with a norm it is that norm; in one whose norm comes after attention, what the block before
    returns; without norms in blocks, what the last block but one returns. None if there is no such layer.
    """
    tokens = [candidate for candidate in candidates if candidate.layout.order == TOKENS]
    blocks = [layer.name for layer in executed if isinstance(_parent(model, layer.name), _CONTAINERS)]
    returned = [candidate for candidate in tokens if candidate.name in set(blocks)]
    for block in reversed(blocks):
        norm = _first_norm(block, tokens)
        if norm is None:
            continue
        inside = [order for order, layer in enumerate(executed) if layer.name.startswith(f"{block}.")]
        if not any(_attends_before(executed[order], norm, block) for order in inside if order < norm.order):
            return norm
        return next((candidate for candidate in reversed(returned) if candidate.order < inside[0]), None)
    return returned[-2] if len(returned) > 1 else None


def _first_norm(block: str, tokens: Sequence[_Candidate]) -> _Candidate | None:
    """Return the first norm of tokens among a block's direct children, if other layers of tokens follow it there."""
    inside = [candidate for candidate in tokens if candidate.name.startswith(f"{block}.")]
    for candidate in inside:
        if is_norm(candidate.layer.module) and candidate.name.count(".") == block.count(".") + 1:
            return candidate if inside[-1].order > candidate.order else None
    return None


def _attends_before(layer: ExecutedLayer, norm: _Candidate, block: str) -> bool:
    """Say whether a layer of a block, run before its norm, mixes the same tokens."""
    same_tokens = any(tuple(tensor.shape[:2]) == norm.shape[:2] for tensor in tensors_in(layer.output))
    return same_tokens and _mixes_tokens(layer.module, layer.name.removeprefix(block))


def _mixes_tokens(module: nn.Module, name: str) -> bool:
    return any(part in text for part in _TOKEN_MIXERS for text in (type(module).__name__.lower(), name.lower()))


def _is_auxiliary(name: str) -> bool:
    return any(part.lower().startswith(_AUXILIARY) for part in name.split("."))


def _parent(model: nn.Module, name: str) -> nn.Module:
    return layer_at(model, name.rpartition(".")[0]) if "." in name else model
