"""Guided backpropagation: input gradients under another rule for ReLUs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.engine.inputs import checked_input
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.relu_rules import Rule, apply_relu_rule
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.trace import asked
from pytorch_grad_cam.utils.model_targets import Targets


class GuidedBackpropReLUModel:
    """Shows which input values raise a score, letting only positive gradients through the ReLUs.

    The model is not changed. Sharp, but nearly the same for every class: multiply it with a map (guided Grad-CAM) to
    see one.

    Args:
        model: a network with ReLUs.
        device: where to compute; None stays where the model is.
        rule: "guided", "deconv" or "plain" (the true gradient).

    Source: J. T. Springenberg et al., 2014, "Striving for Simplicity: The All Convolutional Net", arXiv:1412.6806.
    """

    def __init__(self, model: nn.Module, device: torch.device | str | None = None, *, rule: Rule = "guided") -> None:
        self.model = model if device is None else model.to(device)
        self.rule = rule

    def gradients(self, input_tensor: Tensor, targets: Targets = None) -> Tensor:
        """Return the gradients ``(B, C, *S)`` of the targets' scores by the input.

        Raises:
            ValueError: if there is no ReLU between target and input; other errors as for ``BaseCAM.explain``.
        """
        inputs = checked_input(self.model, input_tensor, allow_nonfinite=False)
        with undisturbed(self.model, inputs.device), torch.enable_grad():
            leaf = inputs.clone()
            leaf.requires_grad = True
            _, scores = asked(self.model(leaf), targets, inputs, None)
            apply_relu_rule(scores, self.rule)
            (grads,) = torch.autograd.grad(scores, leaf, torch.ones_like(scores))
        return working_precision(grads.detach())

    def __call__(self, input_img: Tensor, target_category: Targets = None) -> NDArray[np.float32]:
        """Return the gradients with channels last: ``(H, W, C)`` for one image, ``(B, H, W, C)`` for a batch."""
        grads = self.gradients(input_img, target_category).movedim(1, -1).float().cpu().numpy()
        found: NDArray[np.float32] = grads[0] if len(grads) == 1 else grads
        return found
