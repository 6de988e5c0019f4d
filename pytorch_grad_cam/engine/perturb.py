"""Changed versions of an input, and of one image's activations: augmented, channels silenced, positions masked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import widest
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in, unflattened

FACTORS = (0.9, 1.0, 1.1)


@dataclass(frozen=True)
class Augmentation:
    """Changes an input, and turns what is computed from it back."""

    apply: Callable[[Tensor], Tensor]  # on inputs (B, C, *S)
    undo: Callable[[Tensor], Tensor]  # on anything (B, K, *S) that was computed from them


def augmentations(transforms: Iterable[Any] | None) -> Sequence[Augmentation]:
    """Turn transforms of the form of ``ttach``'s into augmentations; None stands for `FlippedAndScaled`."""
    views: Iterable[Any] = FlippedAndScaled() if transforms is None else transforms
    return [Augmentation(view.augment_image, view.deaugment_mask) for view in views]


@dataclass(frozen=True)
class FlippedAndScaledView:
    """One view: the image, maybe with its last axis turned around, times a factor. Of the form of ``ttach``'s."""

    flip: bool
    factor: float

    def augment_image(self, image: Tensor) -> Tensor:
        """Change images ``(B, C, *S)``."""
        return self.deaugment_mask(image) * self.factor

    def deaugment_mask(self, mask: Tensor) -> Tensor:
        """Turn maps ``(B, K, *S)`` of the changed images back."""
        return mask.flip(-1) if self.flip else mask

    def deaugment_label(self, label: Tensor) -> Tensor:
        """Return the scores of the changed images: they are of no place."""
        return label


class FlippedAndScaled:
    """The views that ``aug_smooth`` takes where none are given: flips of the last axis times three factors.

    Iterable, with a length, as a ``ttach.Compose`` is.
    """

    def __iter__(self) -> Iterator[FlippedAndScaledView]:
        return (FlippedAndScaledView(flip, factor) for flip in (False, True) for factor in FACTORS)

    def __len__(self) -> int:
        return 2 * len(FACTORS)


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
        numbered = unflattened(
            output, torch.arange(len(self._flat), dtype=widest(self._flat.device), device=self._flat.device)[None]
        )
        reshape = reshape_transform or (lambda output: output)
        reshaped, places = reshape(output), reshape(numbered).long()
        if places.shape != reshaped.shape or not _are_places_of(places, self._flat, reshaped):
            raise ValueError(
                "reshape_transform computes new values instead of rearranging the layer's output, so a channel cannot "
                "be silenced in that output; give an ablation_layer that knows how"
            )
        self._places = places.reshape(places.shape[1], -1)  # (C, n)
        self._copies = self._flat.new_empty(0)  # (K, N), with what is silenced in them and their version at that time
        self._silenced, self._version = self._places[:0], 0

    def without(self, channels: Tensor) -> Any:
        """Return the output once per entry of ``channels`` (``K`` indices), each time with that channel set to 0.

        The next call writes over what this one returned: copying all other channels again would take as long as many a
        pass over them. What the network has written to itself, in place, is copied anew.
        """
        places = self._places[channels]  # (K, n)
        if len(self._copies) != len(channels) or self._copies._version != self._version:
            self._copies = self._flat.repeat(len(channels), 1)
        else:
            self._copies.scatter_(1, self._silenced, self._flat[self._silenced])
        self._copies.scatter_(1, places, 0)
        self._silenced, self._version = places, self._copies._version
        return unflattened(self._output, self._copies)


def _are_places_of(places: Tensor, values: Tensor, reshaped: Tensor) -> bool:
    """Say whether ``reshaped`` are the values ``(N,)`` that lie in these places."""
    inside = places.clamp(0, len(values) - 1)
    same = values[inside].nan_to_num() == reshaped.nan_to_num()
    return bool((same & (inside == places)).all())


def strongest(activations: Tensor, limit: int | None) -> Tensor:
    """Choose channels of one image ``(C, *S)``: the ``limit`` with the largest mean absolute activation, or all.

    Returns:
        Indices, ascending.
    """
    energy = activations.flatten(1).abs().mean(1)  # (C,)
    return energy.topk(min(limit or len(energy), len(energy))).indices.sort().values


# How much of a neighbour at a distance of 0 and of 1 along one axis is kept: a single place, or a binomial kernel.
SINGLE, BINOMIAL = (1.0, 0.0), (0.5, 0.25)


class Positions(Channels):
    """Masks the positions of a layer's output for one image, in whatever layout the layer has.

    What ``reshape_transform`` leaves out (a class token) is kept.

    Args:
        output, reshape_transform: as for `Channels`.

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
        kept = torch.cat([masks, masks.new_ones(len(masks), 1)], 1)  # (K, n + 1), the last for what is left out
        flat = kept.index_select(1, self._position_of_value)  # (K, N), four times as fast as an index in brackets
        tensors = tensors_in(self._output)
        return map_tensors(unflattened(self._output, flat), lambda factor: factor.to(next(tensors).dtype))

    def masked(self, masks: Tensor) -> Any:
        """Return the output once per mask ``(K, n)``, multiplied by it."""
        if self._is_plain and isinstance(self._output, Tensor):
            return self._output * masks.reshape(len(masks), 1, *self._output.shape[2:]).to(self._output.dtype)
        factors = tensors_in(self.factors(masks))  # (K * r, ...) for each tensor (r, ...)
        return map_tensors(self._output, lambda one: (one * next(factors).reshape(-1, *one.shape)).flatten(0, 1))


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
