"""One pass through the network and back to its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.common.messages import Note
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import score_targets
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.relu_rules import Rule, apply_relu_rule
from pytorch_grad_cam.engine.scoring import total
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.targets.classification import Target


@dataclass(frozen=True)
class Attributions:
    """What a batch was asked and what every input value has to do with the answer.

    Attributes:
        values: ``(B, C, *S)``, one number per input value, detached, at least float32.
        outputs: what the model returned, detached.
        targets: one callable per image.
        scores: ``(B,)``, detached.
        notes: per image what makes the values meaningless; empty if nothing was looked for.
    """

    values: Tensor
    outputs: Any
    targets: list[Target]
    scores: Tensor
    notes: tuple[tuple[Note, ...], ...] = ()


def input_gradients(call: Call, rule: Rule = "plain") -> Attributions:
    """Take the gradients of the scores by the input. Parameters take no part in it.

    Args:
        call: the images, the model and what is asked.
        rule: how the gradient passes ReLUs, see ``apply_relu_rule``.

    Returns:
        The gradients as ``values``; 0 where the score has no graph back to the input.

    Raises:
        TypeError: for whole numbers as input, which have no gradient.
        NoReLUError: for another rule than "plain" in a network without ReLU.
    """
    inputs = call.inputs
    if not inputs.is_floating_point():
        raise TypeError(f"an input of type {inputs.dtype} has no gradient; give floating point numbers")
    leaf = inputs.clone()
    leaf.requires_grad = True
    with torch.enable_grad():
        outputs = call.run(leaf)
        targets, scores = score_targets(outputs, call.spec, len(inputs))
    apply_relu_rule(scores, rule)
    grads: Tensor | None = None
    if scores.requires_grad:  # not if the network ends in a no_grad block
        (grads,) = torch.autograd.grad(total(scores), leaf, allow_unused=True)
    values = torch.zeros_like(inputs) if grads is None else grads.detach()
    return Attributions(working_precision(values), detached(outputs), targets, scores.detach())
