"""How a layer's output is laid out in space, and reshape_transforms: from that output to ``(B, C, *S)``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from pytorch_grad_cam.common.messages import UnreadableOutputError
from pytorch_grad_cam.engine.tokens import embedded_grids, prefix_and_grid
from pytorch_grad_cam.engine.trees import tensors_in

CHANNELS_FIRST, CHANNELS_LAST, TOKENS = "channels first", "channels last", "tokens"
_LAST_HIDDEN_STATE = "last_hidden_state"  # where records of several tensors keep the one that goes on


@dataclass(frozen=True)
class TensorLayout:
    """Says what the axes of a layer's output are.

    Attributes:
        order: CHANNELS_FIRST ``(B, C, *s)``, CHANNELS_LAST ``(B, *s, C)`` or TOKENS ``(B, prefix + n, C)``.
        grid: ``*s``.
        prefix: tokens before those of the patches.
    """

    order: str
    grid: tuple[int, ...]
    prefix: int = 0

    def __str__(self) -> str:
        grid = " x ".join(map(str, self.grid))
        if self.order != TOKENS:
            return f"{grid}, {self.order}"
        return f"tokens in a grid of {grid}" + (f" after {self.prefix} other" if self.prefix else "")


class InferredReshapeTransform:
    """Rearranges any layer's output to ``(B, C, *s)``, by the shapes of output and input: a reshape_transform.

    Takes maps ``(B, C, *s)`` and ``(B, *s, C)``, tokens ``(B, N, C)`` with tokens of other kinds before those of the
    patches, and tuples, dicts and records whose first such tensor is meant. It depends on shapes only, so it is made
    anew for each input and follows its size.

    Args:
        model: the network.
        inputs: ``(B, C, *S)``; its shape counts.
        layers: those whose outputs will be read; where shapes do not tell, they do.

    Raises:
        ValueError: when called, if an output can be read in several ways (the message lists them) or in none.
    """

    def __init__(self, model: nn.Module, inputs: Tensor, layers: Iterable[nn.Module] = ()) -> None:
        self._model, self._layers = model, tuple(layers)
        self._batch, self._channels, self._size = inputs.shape[0], inputs.shape[1], tuple(inputs.shape[2:])

    def __call__(self, output: Any) -> Tensor:
        tensor = self.tensor_of(output)
        layout = self.layout_of(tensor)
        if layout.order == TOKENS:
            return tensor[:, layout.prefix :].reshape(len(tensor), *layout.grid, -1).movedim(-1, 1)
        return tensor.movedim(-1, 1) if layout.order == CHANNELS_LAST else tensor

    def tensor_of(self, output: Any) -> Tensor:
        """Return the tensor that is meant: the output itself, or the one of several that has positions.

        Raises:
            ValueError: if there is none, or if a dict has several.
        """
        if isinstance(output, Tensor):
            return output
        hidden = output.get(_LAST_HIDDEN_STATE) if isinstance(output, Mapping) else None
        if isinstance(hidden, Tensor):
            return hidden
        maps = [tensor for tensor in tensors_in(output) if tensor.is_floating_point() and self._has_positions(tensor)]
        if len(maps) == 1 or (maps and not isinstance(output, Mapping)):
            return maps[0]
        items = output.items() if isinstance(output, Mapping) else enumerate(tensors_in(output))
        shapes = {key: tuple(tensor.shape) for key, tensor in items if isinstance(tensor, Tensor)}
        what = "several maps" if maps else "no map"
        raise UnreadableOutputError(
            f"a {type(output).__name__} with {what} of positions: {shapes}; give a "
            "reshape_transform that makes (B, C, *S) of it"
        )

    def layout_of(self, tensor: Tensor, layers: Iterable[nn.Module] = ()) -> TensorLayout:
        """Say how a tensor that one of ``layers`` returned is laid out; none: one of those of the constructor.

        Raises:
            ValueError: if it can be read in several ways, or in none.
        """
        shape, rank = tuple(tensor.shape), len(self._size) + 2
        if tensor.ndim == 3 < rank:
            return self._token_layout(shape)
        first, last = TensorLayout(CHANNELS_FIRST, shape[2:]), TensorLayout(CHANNELS_LAST, shape[1:-1])
        if tensor.ndim != rank:
            return first  # no map; who wants one says so, with the layer's name
        if not self.covers(last.grid) or shape[-1] not in self._last_axis_channels:
            return first
        if not self.covers(first.grid):
            return last
        if shape[-1] not in self._normalized_channels or self._convolves(shape, tuple(layers) or self._layers):
            return first
        return last

    def layout_or_problem(self, output: Any, layer: nn.Module) -> TensorLayout | str:
        """Say how a layer's output is laid out, or in words why it has no positions to look at."""
        axes = len(self._size) + 2
        try:
            tensor = self.tensor_of(output)
            if not tensor.ndim or tensor.shape[0] != self._batch:
                return "its first axis is not the batch: needs a reshape_transform"
            if tensor.ndim < min(3, axes):
                return "has no positions"
            layout = self.layout_of(tensor, [layer])
        except UnreadableOutputError as error:
            return f"returns {error.returned}"
        if tensor.ndim > axes:
            return "has more axes than the input"
        if len(layout.grid) != len(self._size):
            return "has no positions"
        return layout if math.prod(layout.grid) > 1 else "has one position only"

    def _token_layout(self, shape: tuple[int, ...]) -> TensorLayout:
        try:
            prefix, grid = prefix_and_grid(shape[1], self._size, embedded=self._embedded_grids)
        except ValueError as error:
            raise UnreadableOutputError(f"{shape}, read as tokens (B, N, C): {error}") from error
        return TensorLayout(TOKENS, grid, prefix)

    def _has_positions(self, tensor: Tensor) -> bool:
        try:
            layout = self.layout_of(tensor)
        except ValueError:
            return False
        return len(layout.grid) == len(self._size) and math.prod(layout.grid) > 1

    def covers(self, grid: tuple[int, ...]) -> bool:
        """Say whether a grid is what patches of one length leave of the input, cut or filled up."""
        pairs = list(zip(self._size, grid, strict=True))
        if any(not 0 < places <= length for length, places in pairs) or math.prod(grid) < 2:
            return False
        length, places = pairs[0]
        patches = range(max(1, length // (places + 1)), length // max(1, places - 1) + 2)
        return any(all(-(-side // patch) >= n >= side // patch for side, n in pairs) for patch in patches)

    def _convolves(self, shape: tuple[int, ...], layers: tuple[nn.Module, ...]) -> bool:
        """Tell maps with as many channels as places along an axis by the layers: convolutions put channels first.

        Raises:
            ValueError: if the layers do not tell.
        """
        inside = [module for layer in layers for module in layer.modules()]
        convolves = any(isinstance(module, (_ConvNd, _BatchNorm)) for module in inside)
        if inside and convolves != any(type(module) in (nn.LayerNorm, nn.Linear) for module in inside):
            return convolves
        raise UnreadableOutputError(
            f"{shape}, which can be read in two ways: channels first {shape[1]} of "
            f"{shape[2:]}, or channels last {shape[-1]} of {shape[1:-1]}; give reshape_transform=lambda x: x or "
            "reshape_transform=lambda x: x.movedim(-1, 1)"
        )

    @cached_property
    def _embedded_grids(self) -> list[tuple[int, ...]]:
        return embedded_grids(self._model, self._channels, self._size)

    @cached_property
    def _normalized_channels(self) -> set[int]:
        """Return the numbers of channels that the model's norms take in the last axis."""
        norms = [module for module in self._model.modules() if is_norm(module)]
        weights = [getattr(norm, "weight", None) for norm in norms]
        shapes: list[tuple[int, ...]] = [getattr(norm, "normalized_shape", ()) for norm in norms]
        return {len(weight) for weight in weights if isinstance(weight, Tensor) and weight.ndim == 1} | {
            shape[-1] for shape in shapes if len(shape) == 1
        }

    @cached_property
    def _last_axis_channels(self) -> set[int]:
        """Return the numbers of channels that the model has in the last axis somewhere."""
        linear = [module for module in self._model.modules() if isinstance(module, nn.Linear)]
        return self._normalized_channels.union(*((layer.in_features, layer.out_features) for layer in linear))


def is_norm(module: nn.Module) -> bool:
    """Say whether a module normalises tokens or channels-last maps, by whatever package."""
    others = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LocalResponseNorm)
    return "norm" in type(module).__name__.lower() and not isinstance(module, others) and not any(module.children())


def vit_reshape_transform(tensor: Tensor, height: int = 14, width: int = 14) -> Tensor:
    """Lay a vision transformer's tokens out as a grid.

    Args:
        tensor: ``(B, 1 + height * width, C)``: one class token, then the patches row by row.
        height: rows of patches.
        width: patches in a row.

    Returns:
        ``(B, C, height, width)`` without the class token.

    Raises:
        ValueError: if the number of tokens is another.
    """
    return _grid(tensor, 1, height, width)


def swinT_reshape_transform(tensor: Tensor, height: int = 7, width: int = 7) -> Tensor:  # noqa: N802
    """Lay tokens ``(B, height * width, C)`` without a class token out as ``(B, C, height, width)``."""
    return _grid(tensor, 0, height, width)


def fasterrcnn_reshape_transform(x: Mapping[str, Tensor]) -> Tensor:
    """Stack the levels of a feature pyramid, as torchvision's ``BackboneWithFPN`` returns them.

    Args:
        x: ``(B, C_l, h_l, w_l)`` per level; the coarsest is called "pool".

    Returns:
        ``(B, sum of C_l, h, w)``: magnitudes, each level resized to the coarsest.

    Raises:
        ValueError: without a level "pool".
    """
    if not isinstance(x, Mapping) or "pool" not in x:
        returned = list(x) if isinstance(x, Mapping) else type(x).__name__
        raise ValueError(
            f"the layer returns {returned}, not a dict of pyramid levels with one called 'pool'; choose model.backbone"
        )
    size = x["pool"].shape[-2:]
    return torch.cat([functional.interpolate(level.abs(), size, mode="bilinear") for level in x.values()], dim=1)


def frames_reshape_transform(output: Any, frames: int, of_frame: Callable[[Any], Tensor] | None = None) -> Tensor:
    """Unfold frames that a network put into the batch: ``(B * T, C, h, w)`` to ``(B, C, T, h, w)``.

    For networks that take a video ``(B, C, T, H, W)`` and run a 2-D network on each frame. Give it to a method as
    ``reshape_transform=functools.partial(frames_reshape_transform, frames=16)``; the maps are then ``(B, T, H, W)``.

    Args:
        output: of the target layer; the frames of a video follow each other.
        frames: ``T``. The batch may change: some methods run many versions of one video at once.
        of_frame: the reshape_transform of the 2-D network, if its layer does not return ``(B * T, C, h, w)`` itself.

    Raises:
        ValueError: if the output is of another form, or its rows are no multiple of ``frames``.
    """
    maps = output if of_frame is None else of_frame(output)
    if not isinstance(maps, Tensor) or maps.ndim != 4 or frames < 1 or len(maps) % frames:
        form = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ValueError(
            f"the layer returns {form}, not (B * {frames}, C, h, w); give the number of frames per video, and a layer "
            "that runs on the frames"
        )
    unfolded: Tensor = maps.reshape(-1, frames, *maps.shape[1:]).movedim(1, 2)
    return unfolded


def _grid(tensor: Tensor, prefix: int, height: int, width: int) -> Tensor:
    if tensor.ndim != 3 or tensor.shape[1] != prefix + height * width:
        raise ValueError(
            f"the layer returns {tuple(tensor.shape)}, not (B, {prefix} + {height} * {width}, C); give height and "
            "width of this network's patch grid, e.g. functools.partial(vit_reshape_transform, height=16, width=16)"
        )
    return tensor[:, prefix:].reshape(len(tensor), height, width, -1).movedim(-1, 1)
