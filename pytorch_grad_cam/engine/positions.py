"""Activations of one image, masked position by position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.engine.perturb import Channels
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in

# How much of a neighbour at a distance of 0 and of 1 along one axis is kept: a single place, or a binomial kernel.
SINGLE, BINOMIAL = (1.0, 0.0), (0.5, 0.25)


class Positions(Channels):
    """Masks the positions of a layer's output for one image, in whatever layout the layer has.

    What ``reshape_transform`` leaves out (a class token) is kept.

    Args:
        output: what the layer returns for one image, a tensor or a nest of them.
        reshape_transform: to ``(1, C, *S)``, or None.

    Raises:
        ValueError: if the transform computes instead of rearranging; then a position has no place of its own.
    """

    def __init__(self, output: Any, reshape_transform: Callable[[Any], Tensor] | None) -> None:
        try:
            super().__init__(output, reshape_transform)
        except ValueError as error:
            raise ValueError(
                "reshape_transform computes new values instead of rearranging the layer's output, so no position can "
                "be lit alone in that output; give one that only rearranges, or choose another layer"
            ) from error
        # Of a plain (1, C, *s) one factor serves all channels; spelled out for each, it costs more than what follows.
        self._is_plain = torch.equal(self._places.flatten(), torch.arange(len(self._flat), device=self._flat.device))

    @cached_property
    def _position_of_value(self) -> Tensor:
        """Return the position of each value ``(N,)``; ``n`` for what is left out."""
        count = self._places.shape[1]
        positions = torch.full_like(self._flat, count, dtype=torch.long)
        positions[self._places] = torch.arange(count, device=positions.device)
        return positions

    def factors(self, masks: Tensor) -> Any:
        """Return per mask ``(K, n)`` what to multiply the output with: as the output, with ``K`` times as many rows."""
        count = len(masks)
        kept = torch.cat([masks, masks.new_ones(count, 1)], 1)  # (K, n + 1), the last for what is left out
        flat = kept.index_select(1, self._position_of_value)  # (K, N), four times as fast as an index in brackets
        start = 0

        def part(tensor: Tensor) -> Tensor:
            nonlocal start
            piece = flat[:, start : start + tensor.numel()]
            start += tensor.numel()
            return piece.reshape(count * tensor.shape[0], *tensor.shape[1:]).to(tensor.dtype)

        return map_tensors(self._output, part)

    def masked(self, masks: Tensor) -> Any:
        """Return the output once per mask ``(K, n)``, multiplied by it."""
        if self._is_plain and isinstance(self._output, Tensor):
            return self._output * masks.reshape(len(masks), 1, *self._output.shape[2:]).to(self._output.dtype)
        factors = iter(tensors_in(self.factors(masks)))
        return map_tensors(self._output, lambda tensor: _multiplied(tensor, next(factors)))


def position_masks(grid: Sequence[int], chunk: slice, kernel: tuple[float, float], like: Tensor) -> Tensor:
    """Return masks that keep one position each, or a kernel around it that is cut at the border.

    Args:
        grid: ``*s``, with ``n`` positions.
        chunk: which positions, ``K`` of the ``n``.
        kernel: SINGLE or BINOMIAL.
        like: for device and type.

    Returns:
        ``(K, n)``.
    """
    axes = [torch.arange(length, device=like.device) for length in grid]
    places = torch.cartesian_prod(*axes).reshape(-1, len(axes))  # (n, axes)
    distance = (places[chunk, None] - places).abs()  # (K, n, axes)
    centre, beside = kernel
    kept = torch.where(distance == 0, centre, torch.where(distance == 1, beside, 0.0))
    return kept.prod(2).to(like.dtype)


def _multiplied(tensor: Tensor, factor: Tensor) -> Tensor:
    """Multiply the rows of one image ``(r, ...)`` by factors for ``K`` images ``(K * r, ...)``."""
    rows = factor.reshape(-1, *tensor.shape)  # (K, r, ...)
    return (tensor * rows).flatten(0, 1)
