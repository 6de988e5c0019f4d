"""Why a map means nothing: the sentences behind ``Explanation.notes``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import torch
from torch import Tensor, nn

from pytorch_grad_cam.common.messages import (
    CANCELLED,
    CONSTANT,
    NEGATIVE,
    ONE_POSITION,
    OWN_TARGET,
    SURE,
    ZERO_GRADIENT,
    Note,
)
from pytorch_grad_cam.engine.maps import is_constant
from pytorch_grad_cam.engine.restore import hooked
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in

DETACHED = (
    "the target depends on the layer, but not through the graph: its output is detached, converted (.item(), NumPy) "
    "or used in inference mode after the layer"
)
NOT_ON_PATH = "the layer is not on the path to the target: changing its output does not change the score"
REENTRANT = (
    "the target layer runs inside a re-entrant checkpoint, which cuts the graph, so no gradient reaches it; let the "
    "model call checkpoint(..., use_reentrant=False), choose a layer outside of it, or a method without gradients"
)
UNUSED_TOKENS = (
    "the head reads only tokens that reshape_transform leaves out (often the class token), so no patch token matters "
    "here; choose an earlier layer, e.g. the first norm of the last block"
)
_OWN = "the map can only show where the target is, and not why; choose an earlier layer"
_SURE = "and its gradient, which has a factor of what it lacks to 1, is lost in that"
_ASK = "ask about the class by its index, or by ClassifierOutputSoftmaxTarget, whose gradient is exact"
ZERO = "the target does not react to the layer there (saturated output, or units that are off)"

# A sum below this share of the summed magnitudes is rounding.
ROUNDING = 1e-5


def why_no_gradient(module: nn.Module, score: Callable[[], Tensor], before: Tensor) -> str:
    """Find out why a score has no graph back to a layer, by changing the layer's output and looking at the score.

    Args:
        module: the layer.
        score: runs the model once and returns the scores ``(B,)``.
        before: the scores ``(B,)`` with the output unchanged.

    Raises:
        RuntimeError: if the layer runs inside a checkpoint that ends every graph.
    """

    def change(module: nn.Module, inputs: Any, output: Any) -> Any:
        if _in_reentrant_checkpoint():
            raise RuntimeError(REENTRANT)
        return map_tensors(output, lambda tensor: -tensor - 1 if tensor.is_floating_point() else tensor)

    with hooked([module], change):
        after = score()
    return NOT_ON_PATH if torch.equal(before, after) else DETACHED


def _in_reentrant_checkpoint() -> bool:
    """Say whether the code that asks runs inside ``torch.utils.checkpoint`` with ``use_reentrant=True``.

    That module is not imported for the question: some versions of torch load much with it, and nobody who has not
    loaded it can be inside.
    """
    checkpoint = sys.modules.get("torch.utils.checkpoint")
    if checkpoint is None:
        return False
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is checkpoint.CheckpointFunction.forward.__code__:
            return True
    return False


def read_together(totals: Sequence[Tensor], flags: Sequence[Tensor] = ()) -> tuple[list[float], list[list[bool]]]:
    """Return single numbers, and flags ``(B,)``, by one transfer: at each, all work of a GPU is waited for.

    Layers of a network that is spread over devices are read on that of the first.
    """
    device = totals[0].device
    numbers = torch.stack([total.to(device) for total in totals])
    if flags:
        numbers = torch.cat([numbers, *(each.to(device) for each in flags)])
    read = iter(numbers.tolist())
    return [*islice(read, len(totals))], [[bool(flag) for flag in islice(read, len(each))] for each in flags]


def finite_sum(tensor: Tensor) -> Tensor:
    """Return a number that NaN and infinity spoil. A sum is far cheaper than asking each number, but may overflow."""
    return tensor.sum(dtype=torch.float32 if tensor.element_size() < 4 else None)


def finite(tensor: Tensor, total: float | None = None) -> list[bool]:
    """Say of each image of a ``(B, ...)`` tensor whether all its numbers are finite.

    Args:
        tensor: what is asked about.
        total: its ``finite_sum``, where that has been read.
    """
    if math.isfinite(finite_sum(tensor).item() if total is None else total):
        return [True] * len(tensor)
    all_finite: list[bool] = tensor.flatten(1).isfinite().all(1).tolist()
    return all_finite


def all_zero(tensor: Tensor) -> Tensor:
    """Say of each image of a ``(B, ...)`` tensor whether all its numbers are 0: bool ``(B,)``."""
    flat = tensor.flatten(1)
    return (flat.amax(1) == 0) & (flat.amin(1) == 0)


def has_places(outputs: Any) -> bool:
    """Say whether a model's outputs have places for a target to read, as those of segmentation and detection."""
    return isinstance(outputs, (tuple, list)) or any(tensor.ndim > 2 for tensor in tensors_in(outputs))


def is_own_target(activations: Tensor, grads: Tensor | None, outputs: Any) -> list[bool]:
    """Say per image whether a target reads a layer itself: an output, or one channel of it in some places.

    Args:
        activations: of the layer, ``(B, C, *s)``.
        grads: likewise; None where none were asked for.
        outputs: the model's, with places.
    """
    tensors = tensors_in(outputs)
    if any(tensor.shape == activations.shape and torch.equal(tensor, activations) for tensor in tensors):
        return [True] * len(activations)
    if grads is None or grads.shape[1] == 1:
        return [False] * len(activations)
    reacting = grads.flatten(2) != 0  # (B, C, n)
    own: list[bool] = ((reacting.any(2).sum(1) == 1) & ~reacting.any(1).all(1)).tolist()
    return own


@dataclass(frozen=True)
class LayerFacts:
    """What is known of a layer before its maps are made.

    Attributes:
        name: its name.
        nonfinite: per image what was replaced, None for most.
        zero: per image whether its gradient is 0 everywhere.
        why_zero: finds the reason for a gradient that is zero; may run the model once more.
        own: per image whether the target reads the layer itself, see `is_own_target`; empty where the model's outputs
            have no places.
        sure: per image whether the score is a probability whose gradient is rounding, see `scoring.lost_in_rounding`;
            empty where none is.
    """

    name: str
    nonfinite: Sequence[Note | None]
    zero: Sequence[bool]
    why_zero: Callable[[], str] = str
    own: Sequence[bool] = ()
    sure: Sequence[bool] = ()

    @classmethod
    def without_gradients(cls, name: str, nonfinite: Sequence[Note | None]) -> Self:
        """Return the facts of something that has no gradient of its own."""
        return cls(name, nonfinite, [False] * len(nonfinite))


def map_flags(raw: Tensor, relu: bool, terms: Tensor | None = None) -> Tensor:
    """Say of each of ``(B, *s)`` signed maps of a layer what may make it mean nothing.

    Args:
        raw: the maps.
        relu: whether negative evidence is dropped.
        terms: the sums ``(B, *s)`` of the magnitudes that were added up to ``raw``, None if it was made otherwise.

    Returns:
        Flags ``(B, 3)``: whether what was added up cancels, whether nothing is positive, whether all is the same.
    """
    flat = raw.flatten(1)
    negative = (flat.amax(1) <= 0) & (flat.amin(1) < 0) & relu
    cancelled = torch.zeros_like(negative)
    if terms is not None:
        cancelled = flat.abs().amax(1) <= ROUNDING * terms.flatten(1).amax(1)
    return torch.stack([cancelled, negative, is_constant(raw)], 1)


def notes_on(facts: LayerFacts, raw: Tensor, relu: bool) -> list[tuple[Note, ...]]:
    """Judge maps of one layer that were not added up of terms, see `notes_by_flags`."""
    return notes_by_flags(facts, raw, map_flags(raw, relu).tolist())


def notes_by_flags(facts: LayerFacts, raw: Tensor, flags: Sequence[Sequence[bool]]) -> list[tuple[Note, ...]]:
    """Judge the maps of one layer.

    Args:
        facts: what is known of the layer.
        raw: its signed maps ``(B, *s)``.
        flags: per image those of ``map_flags``.

    Returns:
        Per image the sentences that say why its map means nothing; mostly none.
    """
    of_one_place = (raw.flatten(1).count_nonzero(1) == 1).tolist() if facts.own else ()
    reason = facts.why_zero() if any(facts.zero) else ""
    notes: list[tuple[Note, ...]] = []
    for image, (is_cancelled, is_negative, is_flat) in enumerate(flags):
        note: Note | None = None
        if facts.sure and facts.sure[image]:
            note = Note(SURE, f"the probability asked about is 1 but for rounding, {_SURE}", _ASK)
        elif facts.zero[image]:
            note = Note(ZERO_GRADIENT, f"zero gradient at layer {facts.name!r}: {reason}")
        elif is_cancelled and raw[image].any():
            note = Note(CANCELLED, f"the channels at layer {facts.name!r} cancel everywhere; what is left is rounding")
        elif is_negative or is_flat:
            note = _note_on_values(facts.name, raw[0].numel(), is_negative, is_flat)
        elif facts.own and facts.own[image]:
            note = Note(OWN_TARGET, f"the target is read off layer {facts.name!r} itself; {_OWN}")
        elif of_one_place and of_one_place[image]:
            note = Note(OWN_TARGET, f"the target depends on one position of layer {facts.name!r}; {_OWN}")
        notes.append(tuple(one for one in (facts.nonfinite[image], note) if one))
    return notes


def _note_on_values(name: str, positions: int, is_negative: bool, is_flat: bool) -> Note:
    """Say what is wrong with a map whose values are all the same, or all speak against the target."""
    if is_flat and positions == 1:
        return Note(ONE_POSITION, f"layer {name!r} has one position only; choose an earlier layer")
    if is_negative:
        return Note(NEGATIVE, f"all evidence at layer {name!r} is negative", "relu=False shows it")
    return Note(CONSTANT, f"constant map at layer {name!r}: every position counts the same")


def listed(indices: Sequence[int]) -> str:
    """Write image numbers for a message, shortened: ``0, 1, 2, 3, 4, ... (12 in all)``."""
    shown = ", ".join(map(str, indices[:5]))
    return shown if len(indices) <= 5 else f"{shown}, ... ({len(indices)} in all)"
