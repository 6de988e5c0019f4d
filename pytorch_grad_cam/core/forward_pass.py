"""Everything one pass through the model has to say about its target layers, ready for arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.common.notes import NONFINITE, Note
from pytorch_grad_cam.engine.diagnosis import UNUSED_TOKENS, ZERO, all_zero, finite, listed, why_no_gradient
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.relu_rules import Rule, apply_relu_rule
from pytorch_grad_cam.engine.scoring import scores_of
from pytorch_grad_cam.engine.trees import detached, map_tensors
from pytorch_grad_cam.targets.classification import Target, Targets
from pytorch_grad_cam.targets.spec import Turned, as_targets


@dataclass(frozen=True)
class TracedLayer:
    """One target layer: its activations and gradients ``(B, C, *s)``, finite, at least float32."""

    module: nn.Module
    name: str
    activations: Tensor
    grads: Tensor | None
    nonfinite: tuple[Note | None, ...]  # per image what had to be replaced by 0
    zero: tuple[bool, ...]  # per image whether its gradient is 0 everywhere
    why_zero: Callable[[], str]  # the reason for that; may run the model once more


@dataclass(frozen=True)
class Trace:
    """What one pass says about one question: what came out, what was asked, and the target layers."""

    outputs: Any
    targets: list[Target]
    scores: Tensor | None
    layers: tuple[TracedLayer, ...]


class Pass:
    """One forward pass, which can be asked several times.

    Args:
        record: of the target layers, not used yet. Activations and gradients are detached if it says so.
        network: runs the model on ``(B, C, *S)``, in evaluation mode, see ``restore.undisturbed``.
        inputs: ``(B, C, *S)``.
        uses_targets: False: nothing is asked, so the model may return anything.
        uses_gradients: False: no graph is built.
        input_gradient: the graph begins at ``inputs``, which then carry a ``.grad`` when asked.
        relu_rule: how gradients pass ReLUs, see ``engine.relu_rules``.
        undo: for changed views, turns a dense output back to where the targets expect its pixels.
        allow_nonfinite: replace NaN and infinity by 0 instead of raising.

    Raises:
        ValueError: for activations of an unusable form, and for NaN or infinity.
    """

    def __init__(
        self,
        record: ActivationsAndGradients,
        network: Callable[[Tensor], Any],
        inputs: Tensor,
        *,
        uses_targets: bool,
        uses_gradients: bool,
        input_gradient: bool = False,
        relu_rule: Rule = "plain",
        undo: Callable[[Tensor], Tensor] | None = None,
        allow_nonfinite: bool = False,
    ) -> None:
        self._record, self._network = record, network
        self.inputs = inputs
        self._uses_targets, self._uses_gradients = uses_targets, uses_gradients
        self._input_gradient, self._relu_rule = input_gradient, relu_rule
        self._undo, self._allow_nonfinite = undo, allow_nonfinite
        self._names = [layer_name(record.model, layer) for layer in record.target_layers]
        if input_gradient:
            self.inputs = inputs.clone()
            self.inputs.requires_grad = True
        self.outputs = record.run(partial(network, self.inputs), whole_graph=input_gradient)

    def ask(self, targets: Targets | Turned, again: bool = False) -> Trace:
        """Score the targets and take the gradients.

        Args:
            targets: what the user gave, see ``as_targets``.
            again: whether another question will follow.
        """
        record = self._record
        each, scores = self._scored(targets)
        if self._uses_gradients and scores is not None and not scores.requires_grad:
            # A part of the network may run under its own no_grad, and leaving it ended the graph: once more with
            # gradient mode on outside.
            self.outputs = record.run(partial(self._network, self.inputs), whole_graph=True)
            each, scores = self._scored(targets)
        activations = [
            _checked(found, name, self.inputs) for found, name in zip(record.activations, self._names, strict=True)
        ]
        grads: list[Tensor | None] = [None] * len(activations)
        if self._uses_gradients and scores is not None:
            apply_relu_rule(scores, self._relu_rule)
            grads = record.gradients_of(scores, again or self._input_gradient)
            if self._input_gradient:
                self.inputs.grad = None
                (self.inputs.grad,) = torch.autograd.grad(
                    scores, self.inputs, torch.ones_like(scores), retain_graph=again or not record.detach
                )
        found = tuple(
            self._layer(index, values, grad, each, scores)
            for index, (values, grad) in enumerate(zip(activations, grads, strict=True))
        )
        if scores is not None and record.detach:
            scores = scores.detach()
        return Trace(detached(self.outputs) if record.detach else self.outputs, each, scores, found)

    def _scored(self, targets: Targets | Turned) -> tuple[list[Target], Tensor | None]:
        if not self._uses_targets:
            return [], None
        with torch.set_grad_enabled(self._uses_gradients):
            return asked(self.outputs, targets, self.inputs, self._undo)

    def _layer(
        self, index: int, values: Tensor, grad: Tensor | None, each: list[Target], scores: Tensor | None
    ) -> TracedLayer:
        name, module = self._names[index], self._record.target_layers[index]

        def why_zero() -> str:
            if grad is not None:
                return UNUSED_TOKENS if self._record.gradient_left_out(index, zero) else ZERO
            assert scores is not None
            return why_no_gradient(module, lambda: scores_of(self._network(self.inputs), each), scores)

        values, bad = finite_values(values, f"activations of layer {name!r}", self._allow_nonfinite)
        grads, bad_grads = None, bad
        if self._uses_gradients:
            given = torch.zeros_like(values) if grad is None else grad
            grads, bad_grads = finite_values(given, f"gradients at layer {name!r}", self._allow_nonfinite)
        nonfinite = tuple(a or b for a, b in zip(bad, bad_grads, strict=True))
        zero = (False,) * len(values) if grads is None else tuple(all_zero(grads).tolist())
        return TracedLayer(module, name, values, grads, nonfinite, zero, why_zero)


def asked(
    outputs: Any, targets: Targets | Turned, inputs: Tensor, undo: Callable[[Tensor], Tensor] | None
) -> tuple[list[Target], Tensor]:
    """Resolve the targets on a model's outputs and score them, in the caller's gradient mode; see ``Pass``."""
    if undo is not None:  # dense outputs, also inside a dictionary
        outputs = map_tensors(outputs, lambda tensor: undo(tensor) if tensor.ndim == inputs.ndim else tensor)
    each = as_targets(targets, detached(outputs), len(inputs))
    return each, scores_of(outputs, each)


def refuse_unread(traced: Trace, better: Callable[[], str]) -> None:
    """Refuse a layer of which the head reads other tokens only than those of the patches, and name a better one.

    Args:
        traced: one question.
        better: the name of the layer to choose instead; may raise ValueError where there is none.

    Raises:
        ValueError: for such a layer.
    """
    for layer in traced.layers:
        if not all(layer.zero) or layer.why_zero() != UNUSED_TOKENS:
            continue
        try:
            name = repr(better())
        except ValueError:  # of a network whose layers are unlike those of any other
            name = "that the last attention takes its tokens from"
        raise ValueError(
            f"after layer {layer.name!r} the head reads only tokens that are no patches (often the class token), "
            f"so no place of the picture matters there; choose the layer {name}"
        )


def _checked(activations: Tensor, name: str, inputs: Tensor) -> Tensor:
    """Refuse what is not ``(B, C, *s)`` with as many spatial axes as the input."""
    if activations.ndim == inputs.ndim and len(activations) == len(inputs) and activations.numel():
        return activations
    raise ValueError(
        f"layer {name!r} gives {tuple(activations.shape)}, not (B, C, *S) with B = {len(inputs)} and "
        f"{inputs.ndim - 2} spatial axes as the input {tuple(inputs.shape)} has; choose a layer before pooling and "
        "flattening, or give a reshape_transform (tokens: pytorch_grad_cam.utils.reshape_transforms)"
    )


def finite_values(tensor: Tensor, what: str, allow: bool) -> tuple[Tensor, tuple[Note | None, ...]]:
    """Refuse NaN and infinity, or replace them by 0 and say per image where."""
    good = finite(tensor)
    tensor = working_precision(tensor)
    if all(good):
        return tensor, (None,) * len(good)
    bad = [index for index, is_good in enumerate(good) if not is_good]
    if not allow:
        raise ValueError(
            f"the {what} contain NaN or infinity for image {listed(bad)}; the network overflows or its weights are "
            "broken (try float32); allow_nonfinite=True counts them as 0"
        )
    note = Note(NONFINITE, f"the {what} contain NaN or infinity, counted as 0")
    notes = tuple(None if is_good else note for is_good in good)
    return tensor.nan_to_num(0.0, 0.0, 0.0), notes
