"""How a layer's output lies in space, found by its shape: the reshape_transform of who gives none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from pytorch_grad_cam.common.errors import UnreadableOutputError
from pytorch_grad_cam.engine.tokens import embedded_grids, prefix_and_grid
from pytorch_grad_cam.engine.trees import tensors_in

FIRST, LAST, TOKENS = "channels first", "channels last", "tokens"
HIDDEN = "last_hidden_state"  # where records of several tensors keep the one that goes on


@dataclass(frozen=True)
class Form:
    """How one output is read.

    Attributes:
        order: FIRST ``(B, C, *s)``, LAST ``(B, *s, C)`` or TOKENS ``(B, prefix + n, C)``.
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


class Layout:
    """A reshape_transform for any layer: from its output to ``(B, C, *s)``, by the shapes of output and input.

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
        self._channels, self._size = inputs.shape[1], tuple(inputs.shape[2:])

    def __call__(self, output: Any) -> Tensor:
        tensor = self.tensor_of(output)
        form = self.form_of(tensor)
        if form.order == TOKENS:
            return tensor[:, form.prefix :].reshape(len(tensor), *form.grid, -1).movedim(-1, 1)
        return tensor.movedim(-1, 1) if form.order == LAST else tensor

    def tensor_of(self, output: Any) -> Tensor:
        """Return the tensor that is meant: the output itself, or the one of several that has positions.

        Raises:
            ValueError: if there is none, or if a dict has several.
        """
        if isinstance(output, Tensor):
            return output
        if isinstance(output, Mapping) and isinstance(output.get(HIDDEN), Tensor):
            found: Tensor = output[HIDDEN]
            return found
        several = [tensor for tensor in tensors_in(output) if tensor.is_floating_point() and self._readable(tensor)]
        if len(several) == 1 or (several and not isinstance(output, Mapping)):
            return several[0]
        shapes = {key: tuple(tensor.shape) for key, tensor in enumerate(tensors_in(output))}
        if isinstance(output, Mapping):
            shapes = {key: tuple(each.shape) for key, each in output.items() if isinstance(each, Tensor)}
        what = "several maps" if several else "no map"
        raise UnreadableOutputError(
            f"a {type(output).__name__} with {what} of positions: {shapes}; give a "
            "reshape_transform that makes (B, C, *S) of it"
        )

    def form_of(self, tensor: Tensor, layers: Iterable[nn.Module] = ()) -> Form:
        """Say how a tensor is read, which one of ``layers`` returned; none: of those that the object was made with.

        Raises:
            ValueError: if it can be read in several ways, or in none.
        """
        shape, rank = tuple(tensor.shape), len(self._size) + 2
        if tensor.ndim == 3 < rank:
            return self._tokens(shape)
        if tensor.ndim != rank:
            return Form(FIRST, shape[2:])  # no map; who wants one says so, with the layer's name
        last = self.covers(shape[1:-1]) and shape[-1] in self._widths
        if not last:
            return Form(FIRST, shape[2:])
        if not self.covers(shape[2:]):
            return Form(LAST, shape[1:-1])
        if shape[-1] not in self._normed or self._convolves(shape, tuple(layers) or self._layers):
            return Form(FIRST, shape[2:])
        return Form(LAST, shape[1:-1])

    def _tokens(self, shape: tuple[int, ...]) -> Form:
        try:
            prefix, grid = prefix_and_grid(shape[1], self._size, embedded=self._embedded)
        except ValueError as error:
            raise UnreadableOutputError(f"{shape}, read as tokens (B, N, C): {error}") from error
        return Form(TOKENS, grid, prefix)

    def _readable(self, tensor: Tensor) -> bool:
        try:
            form = self.form_of(tensor)
        except ValueError:
            return False
        return len(form.grid) == len(self._size) and math.prod(form.grid) > 1

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
    def _embedded(self) -> list[tuple[int, ...]]:
        return embedded_grids(self._model, self._channels, self._size)

    @cached_property
    def _normed(self) -> set[int]:
        """Numbers of channels that the model's norms take in the last axis."""
        norms = [module for module in self._model.modules() if is_norm(module)]
        weights = [getattr(norm, "weight", None) for norm in norms]
        shapes: list[tuple[int, ...]] = [getattr(norm, "normalized_shape", ()) for norm in norms]
        return {len(weight) for weight in weights if isinstance(weight, Tensor) and weight.ndim == 1} | {
            shape[-1] for shape in shapes if len(shape) == 1
        }

    @cached_property
    def _widths(self) -> set[int]:
        """Numbers of channels that the model has in the last axis somewhere."""
        linear = [module for module in self._model.modules() if isinstance(module, nn.Linear)]
        return self._normed.union(*((layer.in_features, layer.out_features) for layer in linear))


def is_norm(module: nn.Module) -> bool:
    """Say whether a module normalises tokens or channels-last maps, by whatever package."""
    others = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LocalResponseNorm)
    return "norm" in type(module).__name__.lower() and not isinstance(module, others) and not any(module.children())
