"""One pass through the model, and everything it has to say about its target layers, ready for arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.common.messages import NONFINITE, Note
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.engine.diagnosis import (
    UNUSED_TOKENS,
    ZERO,
    LayerFacts,
    all_zero,
    finite,
    finite_sum,
    has_places,
    is_own_target,
    listed,
    read_together,
    why_no_gradient,
)
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.pass_record import PassRecord
from pytorch_grad_cam.engine.scoring import lost_in_rounding, scores_of, total
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.spec import ClassTarget, TargetSpec

if TYPE_CHECKING:
    from pytorch_grad_cam.engine.relu_rules import Rule
    from pytorch_grad_cam.engine.replay import RecordedPass


@dataclass(frozen=True)
class LayerRecord:
    """What a pass says about one target layer.

    Attributes:
        module: the layer.
        name: its dotted name in the model.
        activations, grads: ``(B, C, *s)``, finite, at least float32; grads are None where none were asked for.
        facts: what was replaced in them and where the gradient is 0, for the notes.
        recorded: what is needed to replay the pass from this layer, if it was recorded.
    """

    module: nn.Module
    name: str
    activations: Tensor
    grads: Tensor | None
    facts: LayerFacts
    recorded: RecordedPass | None = None


@dataclass(frozen=True)
class ScoredPass:
    """What one pass says about one question.

    Attributes:
        outputs: what the model returned.
        targets: what was asked, one callable per image; none where nothing was.
        scores: ``(B,)``; None where nothing was asked.
        layers: the target layers.
        ran: their modules, in the order in which they ran.
    """

    outputs: Any
    targets: list[Target]
    scores: Tensor | None
    layers: tuple[LayerRecord, ...]
    ran: list[nn.Module]

    @property
    def layers_as_run(self) -> list[LayerRecord]:
        """The target layers in the order in which they ran."""
        return sorted(self.layers, key=lambda layer: self.ran.index(layer.module))


class ForwardPass:
    """One forward pass, which can be asked several questions.

    Args:
        record: of the target layers, not used yet. Activations and gradients are detached if it says so.
        call: the images and the model, in evaluation mode, see ``restore.undisturbed``.
        uses_targets: False: nothing is asked, so the model may return anything.
        uses_gradients: False: no graph is built.
        class_target: how a class is scored, where the question does not say it.
        input_gradient: the graph begins at ``inputs``, which then carry a ``.grad`` when asked.
        relu_rule: how gradients pass ReLUs, see ``engine.relu_rules``.

    Attributes:
        inputs: of the pass.
        outputs: what the model returned.
        recorded: by layer, what is needed to replay this pass; filled by who recorded it.

    Raises:
        ValueError: for activations of an unusable form, and for NaN or infinity.
    """

    def __init__(
        self,
        record: PassRecord,
        call: Call,
        *,
        uses_targets: bool,
        uses_gradients: bool,
        class_target: ClassTarget | None = None,
        input_gradient: bool = False,
        relu_rule: Rule = "plain",
    ) -> None:
        self._record, self._run = record, call.run
        self._uses_targets, self._uses_gradients = uses_targets, uses_gradients
        self._class_target, self._input_gradient, self._relu_rule = class_target, input_gradient, relu_rule
        self._allow_nonfinite = call.options.allow_nonfinite
        self._names = [layer_name(record.model, layer) for layer in record.target_layers]
        self.inputs = call.inputs
        self.recorded: dict[nn.Module, RecordedPass] = {}
        if input_gradient:
            self.inputs = call.inputs.clone()
            self.inputs.requires_grad = True
        self.outputs = record.run(partial(self._run, self.inputs), whole_graph=input_gradient)

    def score(self, spec: TargetSpec, again: bool = False) -> ScoredPass:
        """Score the targets and take the gradients.

        Args:
            spec: what is asked.
            again: whether another question will follow.
        """
        record = self._record
        targets, scores = self._scored(spec)
        if self._uses_gradients and scores is not None and not scores.requires_grad:
            # A part of the network may run under its own no_grad, and leaving it ended the graph: once more with
            # gradient mode on outside.
            self.outputs = record.run(partial(self._run, self.inputs), whole_graph=True)
            targets, scores = self._scored(spec)
        activations = [
            _checked(tensor, name, self.inputs) for tensor, name in zip(record.activations, self._names, strict=True)
        ]
        grads: list[Tensor | None] = [None] * len(activations)
        sure: list[bool] = []
        if self._uses_gradients and scores is not None:
            sure = lost_in_rounding(scores)  # before its graph is used
            grads = self._differentiated(scores, again)
        numbers = _read(activations, grads)
        layers = tuple(
            self._layer(index, values, grad, known, targets, scores, sure)
            for index, (values, grad, known) in enumerate(zip(activations, grads, numbers, strict=True))
        )
        if scores is not None and record.detach:
            scores = scores.detach()
        outputs = detached(self.outputs) if record.detach else self.outputs
        return ScoredPass(outputs, targets, scores, layers, record.ran)

    def _scored(self, spec: TargetSpec) -> tuple[list[Target], Tensor | None]:
        if not self._uses_targets:
            return [], None
        with torch.set_grad_enabled(self._uses_gradients):
            return score_targets(self.outputs, spec, len(self.inputs), self._class_target)

    def _differentiated(self, scores: Tensor, again: bool) -> list[Tensor | None]:
        """Return the gradients per layer; those by the input, where they are wanted, are in its ``.grad``."""
        if self._relu_rule != "plain":
            from pytorch_grad_cam.engine.relu_rules import apply_relu_rule  # few ask for another rule

            apply_relu_rule(scores, self._relu_rule)
        grads = self._record.gradients_of(scores, again or self._input_gradient)
        if self._input_gradient:
            self.inputs.grad = None
            (self.inputs.grad,) = torch.autograd.grad(
                total(scores), self.inputs, retain_graph=again or not self._record.detach
            )
        return grads

    def _layer(
        self,
        index: int,
        values: Tensor,
        grad: Tensor | None,
        known: _Numbers,
        targets: list[Target],
        scores: Tensor | None,
        sure: list[bool],
    ) -> LayerRecord:
        name, module = self._names[index], self._record.target_layers[index]

        def why_zero() -> str:
            if grad is not None:
                return UNUSED_TOKENS if self._record.gradient_left_out(index, zero) else ZERO
            assert scores is not None
            return why_no_gradient(module, lambda: scores_of(self._run(self.inputs), targets), scores)

        allow = self._allow_nonfinite
        values, bad = finite_values(values, f"activations of layer {name!r}", allow, known.activations)
        grads, bad_grads = None, bad
        zero: Sequence[bool] = (False,) * len(values)
        if self._uses_gradients:
            grad_or_zero = torch.zeros_like(values) if grad is None else grad
            grads, bad_grads = finite_values(grad_or_zero, f"gradients at layer {name!r}", allow, known.grads)
            zero = all_zero(grads).tolist() if any(bad_grads) else known.zero
        nonfinite = tuple(a or b for a, b in zip(bad, bad_grads, strict=True))
        own: list[bool] = []
        if self._uses_targets and has_places(self.outputs):
            own = is_own_target(values, grads, self.outputs)
        facts = LayerFacts(name, nonfinite, zero, why_zero, own, sure)
        return LayerRecord(module, name, values, grads, facts, self.recorded.get(module))


def score_targets(
    outputs: Any, spec: TargetSpec, batch: int, class_target: ClassTarget | None = None
) -> tuple[list[Target], Tensor]:
    """Resolve the targets on the model's outputs for ``batch`` images and score them, in the caller's gradient mode."""
    targets = spec.resolve(detached(outputs), batch, class_target)
    return targets, scores_of(outputs, targets)


def refuse_unread(scored: ScoredPass, better: Callable[[], str]) -> None:
    """Refuse a layer of which the head reads other tokens only than those of the patches, and name a better one.

    Args:
        scored: one question.
        better: the name of the layer to choose instead; may raise ValueError where there is none.

    Raises:
        ValueError: for such a layer.
    """
    for layer in scored.layers:
        if not all(layer.facts.zero) or layer.facts.why_zero() != UNUSED_TOKENS:
            continue
        try:
            name = repr(better())
        except ValueError:  # of a network whose layers are unlike those of any other
            name = "that the last attention takes its tokens from"
        raise ValueError(
            f"after layer {layer.name!r} the head reads only tokens that are no patches (often the class token), "
            f"so no place of the picture matters there; choose the layer {name}"
        )


@dataclass(frozen=True)
class _Numbers:
    """What is read of a target layer's tensors: sums that NaN and infinity spoil, and where the gradient is 0."""

    activations: float
    grads: float
    zero: Sequence[bool]


def _read(activations: Sequence[Tensor], grads: Sequence[Tensor | None]) -> list[_Numbers]:
    """Read what has to be known of all layers at once. Where there is no gradient, it is 0."""
    known = [grad for grad in grads if grad is not None]
    totals, zero = read_together([*map(finite_sum, activations), *map(finite_sum, known)], [*map(all_zero, known)])
    of_grads = iter(zip(totals[len(activations) :], zero, strict=True))
    return [
        _Numbers(total, *((0.0, [True] * len(one)) if grad is None else next(of_grads)))
        for total, one, grad in zip(totals[: len(activations)], activations, grads, strict=True)
    ]


def finite_values(
    tensor: Tensor, what: str, allow: bool, total: float | None = None
) -> tuple[Tensor, Sequence[Note | None]]:
    """Refuse NaN and infinity, or replace them by 0 and say per image where; ``total``: as for ``diagnosis.finite``."""
    good = finite(tensor, total)
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
    return tensor.nan_to_num(0.0, 0.0, 0.0), tuple(None if is_good else note for is_good in good)


def _checked(activations: Tensor, name: str, inputs: Tensor) -> Tensor:
    """Refuse what is not ``(B, C, *s)`` with as many spatial axes as the input."""
    if activations.ndim == inputs.ndim and len(activations) == len(inputs) and activations.numel():
        return activations
    raise ValueError(
        f"layer {name!r} gives {tuple(activations.shape)}, not (B, C, *S) with B = {len(inputs)} and "
        f"{inputs.ndim - 2} spatial axes as the input {tuple(inputs.shape)} has; choose a layer before pooling and "
        "flattening, or give a reshape_transform (tokens: pytorch_grad_cam.utils.reshape_transforms)"
    )
