"""Everything one pass through the model has to say about its target layers, ready for arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients, ReshapeTransform
from pytorch_grad_cam.engine.diagnosis import UNUSED_TOKENS, ZERO, finite, listed, why_no_gradient
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.scoring import scores_of
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.utils.model_targets import Target, Targets, as_targets


@dataclass(frozen=True)
class TracedLayer:
    """One target layer: its activations and gradients ``(B, C, *s)``, detached, finite, at least float32."""

    module: nn.Module
    name: str
    activations: Tensor
    grads: Tensor | None
    nonfinite: tuple[str | None, ...]  # per image what had to be replaced by 0
    why_zero: Callable[[], str]  # the reason for a gradient that is zero; may run the model once more


@dataclass(frozen=True)
class Trace:
    """One pass: what came out, what was asked, and the target layers."""

    outputs: Any
    targets: list[Target]
    scores: Tensor | None
    layers: tuple[TracedLayer, ...]


def trace(
    model: nn.Module,
    layers: Sequence[nn.Module],
    reshape_transform: ReshapeTransform | None,
    inputs: Tensor,
    targets: Targets,
    *,
    uses_targets: bool,
    uses_gradients: bool,
    undo: Callable[[Tensor], Tensor] | None,
    allow_nonfinite: bool,
) -> Trace:
    """Run the model once and take the gradients of the scores.

    Args:
        model: in evaluation mode, see ``restore.undisturbed``.
        layers: the target layers.
        reshape_transform: from a layer's output to ``(B, C, *s)``, or None.
        inputs: ``(B, C, *S)``.
        targets: what the user gave, see ``as_targets``.
        uses_targets: False: nothing is asked, so the model may return anything.
        uses_gradients: False: no graph is built.
        undo: for changed views, turns a dense output back to where the targets expect its pixels.
        allow_nonfinite: replace NaN and infinity by 0 instead of raising.

    Raises:
        ValueError: for activations of an unusable form, and for NaN or infinity.
    """
    record = ActivationsAndGradients(model, layers, reshape_transform, gradients=uses_gradients)
    names = [layer_name(model, layer) for layer in layers]

    def ask(outputs: Any) -> tuple[list[Target], Tensor | None]:
        if not uses_targets:
            return [], None
        with torch.set_grad_enabled(uses_gradients):
            return asked(outputs, targets, inputs, undo)

    outputs = record(inputs)
    each, scores = ask(outputs)
    if uses_gradients and scores is not None and not scores.requires_grad:
        # A part of the network may run under its own no_grad, and leaving it ended the graph: once more with
        # gradient mode on outside.
        outputs = record(inputs, whole_graph=True)
        each, scores = ask(outputs)
    activations = [_checked(found, name, inputs) for found, name in zip(record.activations, names, strict=True)]
    grads: list[Tensor | None] = [None] * len(names)
    if uses_gradients and scores is not None:
        grads = record.gradients_of(scores)
        scores = scores.detach()

    def why_zero(index: int, /) -> str:
        if grads[index] is not None:
            return UNUSED_TOKENS if record.gradient_left_out(index) else ZERO
        assert scores is not None
        return why_no_gradient(layers[index], lambda: scores_of(model(inputs), each), scores)

    found = []
    for index, (layer, name) in enumerate(zip(layers, names, strict=True)):
        values, bad_values = _finite(activations[index], f"activations of layer {name!r}", allow_nonfinite)
        grad, bad_grads = None, bad_values
        if uses_gradients:
            given = grads[index]
            given = torch.zeros_like(values) if given is None else given
            grad, bad_grads = _finite(given, f"gradients at layer {name!r}", allow_nonfinite)
        nonfinite = tuple(a or b for a, b in zip(bad_values, bad_grads, strict=True))
        found.append(TracedLayer(layer, name, values, grad, nonfinite, partial(why_zero, index)))
    return Trace(detached(outputs), each, scores, tuple(found))


def asked(
    outputs: Any, targets: Targets, inputs: Tensor, undo: Callable[[Tensor], Tensor] | None
) -> tuple[list[Target], Tensor]:
    """Resolve the targets on a model's outputs and score them, in the caller's gradient mode; see ``trace``."""
    if undo is not None and isinstance(outputs, Tensor) and outputs.ndim == inputs.ndim:
        outputs = undo(outputs)
    each = as_targets(targets, detached(outputs), len(inputs))
    return each, scores_of(outputs, each)


def _checked(activations: Tensor, name: str, inputs: Tensor) -> Tensor:
    """Refuse what is not ``(B, C, *s)`` with as many spatial axes as the input."""
    if activations.ndim == inputs.ndim and len(activations) == len(inputs) and activations.numel():
        return activations
    raise ValueError(
        f"layer {name!r} gives {tuple(activations.shape)}, not (B, C, *S) with B = {len(inputs)} and "
        f"{inputs.ndim - 2} spatial axes as the input {tuple(inputs.shape)} has; choose a layer before pooling and "
        "flattening, or give a reshape_transform (tokens: pytorch_grad_cam.utils.reshape_transforms)"
    )


def _finite(tensor: Tensor, what: str, allow: bool) -> tuple[Tensor, tuple[str | None, ...]]:
    """Refuse NaN and infinity, or replace them by 0 and say per image where."""
    good = finite(tensor).tolist()
    tensor = working_precision(tensor)
    if all(good):
        return tensor, (None,) * len(good)
    bad = [index for index, is_good in enumerate(good) if not is_good]
    if not allow:
        raise ValueError(
            f"the {what} contain NaN or infinity for image {listed(bad)}; the network overflows or its weights are "
            "broken (try float32); allow_nonfinite=True counts them as 0"
        )
    notes = tuple(None if is_good else f"the {what} contain NaN or infinity, counted as 0" for is_good in good)
    return tensor.nan_to_num(0.0, 0.0, 0.0), notes
