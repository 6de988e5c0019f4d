"""Guided backpropagation: input gradients under another rule for ReLUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import Function

from pytorch_grad_cam.engine.inputs import device_of
from pytorch_grad_cam.engine.layers import replace_all_layer_type_recursive
from pytorch_grad_cam.engine.relu_rules import Rule
from pytorch_grad_cam.targets.classification import Targets
from pytorch_grad_cam.vanilla_gradient import VanillaGradient


class GuidedBackpropReLU(Function):
    """A ReLU whose gradient passes only where its input and the gradient are positive; use it by ``apply``.

    For networks of your own making. ``GuidedBackpropReLUModel`` needs no other ReLUs in the network.
    """

    @staticmethod
    def forward(ctx: Any, input_img: Tensor) -> Tensor:
        output = input_img.clamp_min(0)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        grad: Tensor = grad_output.clamp_min(0) * (output > 0)
        return grad


class GuidedBackpropReLUasModule(nn.Module):
    """``GuidedBackpropReLU`` as a layer."""

    def forward(self, input_img: Tensor) -> Tensor:
        output: Tensor = GuidedBackpropReLU.apply(input_img)
        return output


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

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return device_of(self.model)

    def forward(self, input_img: Tensor) -> Any:
        """Run the model, unchanged."""
        return self.model(input_img)

    def recursive_replace_relu_with_guidedrelu(self, module_top: nn.Module) -> None:
        """Put guided ReLUs into a module for good. Nothing here needs it; kept for code that calls it."""
        replace_all_layer_type_recursive(module_top, nn.ReLU, GuidedBackpropReLUasModule())

    def recursive_replace_guidedrelu_with_relu(self, module_top: nn.Module) -> None:
        """Put ordinary ReLUs in place of guided ones for good."""
        replace_all_layer_type_recursive(module_top, GuidedBackpropReLUasModule, nn.ReLU())

    def gradients(self, input_tensor: Tensor, targets: Targets = None) -> Tensor:
        """Return the gradients ``(B, C, *S)`` of the targets' scores by the input.

        Raises:
            NoReLUError: if there is no ReLU between target and input; other errors as for ``BaseCAM.explain``.
        """
        return VanillaGradient(self.model, relu_rule=self.rule).attributions(input_tensor, targets)

    def __call__(self, input_img: Tensor, target_category: Targets = None) -> NDArray[np.float32]:
        """Return the gradients with channels last: ``(H, W, C)`` for one image, ``(B, H, W, C)`` for a batch."""
        grads = self.gradients(input_img, target_category).movedim(1, -1).float().cpu().numpy()
        gradients: NDArray[np.float32] = grads[0] if len(grads) == 1 else grads
        return gradients
