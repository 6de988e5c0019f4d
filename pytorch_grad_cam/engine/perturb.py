"""Changed versions of one image's activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.engine.trees import map_tensors, tensors_in


class Channels:
    """The channels of a layer's output for one image, in whatever layout the layer has: each can be silenced.

    The layout is found by sending position numbers through ``reshape_transform``, so tokens, channels-last grids and
    tuples need nothing special. What the transform leaves out (a class token) is left alone.

    Args:
        output: what the layer returns for one image, a tensor or a nest of them.
        reshape_transform: to ``(1, C, *S)``, or None.

    Raises:
        ValueError: if the transform computes instead of rearranging; then a channel has no place of its own.
    """

    def __init__(self, output: Any, reshape_transform: Callable[[Any], Tensor] | None) -> None:
        self._output = output
        self._flat = torch.cat([tensor.flatten() for tensor in tensors_in(output)])  # (N,)
        reshape = reshape_transform or (lambda output: output)
        reshaped, places = reshape(output), reshape(self._numbered()).long()
        known = places.shape == reshaped.shape and int(places.min()) >= 0 and int(places.max()) < len(self._flat)
        if not known or not torch.equal(self._flat[places].nan_to_num(), reshaped.nan_to_num()):
            raise ValueError(
                "reshape_transform computes new values instead of rearranging the layer's output, so a channel cannot "
                "be silenced in that output; give an ablation_layer that knows how"
            )
        self._places = places.reshape(places.shape[1], -1)  # (C, n)

    def without(self, channels: Tensor) -> Any:
        """Return the output once per entry of ``channels`` (``K`` indices), each time with that channel set to 0."""
        count = len(channels)
        flat = self._flat.repeat(count, 1).scatter_(1, self._places[channels], 0)  # (K, N)
        start = 0

        def part(tensor: Tensor) -> Tensor:
            nonlocal start
            piece = flat[:, start : start + tensor.numel()]
            start += tensor.numel()
            return piece.reshape(count * tensor.shape[0], *tensor.shape[1:])

        return map_tensors(self._output, part)

    def _numbered(self) -> Any:
        """Return the output with every value replaced by its place in the flat one."""
        start = 0

        def number(tensor: Tensor) -> Tensor:
            nonlocal start
            places = torch.arange(start, start + tensor.numel(), dtype=torch.float64, device=tensor.device)
            start += tensor.numel()
            return places.reshape(tensor.shape)

        return map_tensors(self._output, number)


def strongest(activations: Tensor, limit: int | None) -> Tensor:
    """Choose channels of one image ``(C, *S)``: the ``limit`` with the largest mean absolute activation, or all.

    Returns:
        Indices, ascending.
    """
    energy = activations.flatten(1).abs().mean(1)  # (C,)
    return energy.topk(min(limit or len(energy), len(energy))).indices.sort().values
