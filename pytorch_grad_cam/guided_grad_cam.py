"""GuidedGradCAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.input_gradients import input_gradients
from pytorch_grad_cam.bases.wrapper_cam import WrapperCAM
from pytorch_grad_cam.common.messages import NO_RELU, ZERO_ATTRIBUTION, NoReLUError, Note
from pytorch_grad_cam.core import pipeline
from pytorch_grad_cam.core.call import Call, CallResult
from pytorch_grad_cam.core.forward_pass import finite_values
from pytorch_grad_cam.engine.diagnosis import all_zero
from pytorch_grad_cam.engine.relu_rules import Rule
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.targets.classification import Targets
from pytorch_grad_cam.targets.spec import TargetSpec

NO_DETAILS = Note(ZERO_ATTRIBUTION, "no gradient reaches the input inside the map")


class GuidedGradCAM(WrapperCAM):
    """Highlights the edges and details inside what another method highlights.

    ``E = R * U(L)``, ``R`` the input gradient by guided backpropagation ``(B, C, *S)``, ``U(L)`` the map of the other
    method in the input's size; the map is ``max_c |E_c(p)|``, with the sign of ``L``.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        method: makes the other method from model, target_layers and reshape_transform: a class such as ``LayerCAM``,
            or a ``functools.partial`` of one with options of its own.
        relu_rule: how the gradient passes ReLUs on its way to the input: "guided", "deconv", or "plain".
        **kwargs: handed to the other method.

    Source: R. R. Selvaraju et al., 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", arXiv:1610.02391, section 3.2.
    Note: ``raw``, ``weights`` and ``layers`` of the Explanation are those of the other method; ``attributions`` returns
    ``E``. Guided backpropagation shows nearly the same for every class and hardly depends on the weights of the late
    layers: what is specific comes from the map. The map is stretched from its lowest value to 1 before it multiplies;
    ``normalize="max"`` multiplies by the rectified map itself but for a factor, as the authors' code does. In a network
    without ReLU the result is 0 and says so.
    """

    fine_grained = True

    # Its arguments are in the order of every method's, not in that of grad-cam's wrappers.
    __call__ = BaseCAM.__call__  # type: ignore[assignment]

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        *,
        method: Callable[..., BaseCAM] = GradCAM,
        relu_rule: Rule = "guided",
        **kwargs: Any,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, method, **kwargs)
        self.relu_rule = relu_rule
        self.uses_targets = True  # guided backpropagation does, whatever the other method

    def attributions(self, input_tensor: Any, targets: Targets = None) -> Tensor:
        """Return ``E``, ``(B, C, *S)``: guided backpropagation inside the other method's map, scaled to [0, 1].

        Raises:
            NoReLUError: if there is no ReLU between target and input; other errors as for ``explain``.
        """

        def details(call: Call) -> Tensor:
            maps = self.base_cam.explain_call(call).maps
            return input_gradients(call, self.relu_rule).values * maps[:, None]

        return pipeline.attribute(self, input_tensor, targets, details)

    def explain_call(self, call: Call) -> CallResult:
        options, inputs = call.options, call.inputs
        if options.differentiable:
            raise ValueError("the maps of GuidedGradCAM cannot be differentiated; use the other method alone")
        result = self.base_cam.explain_call(call.with_options(size=tuple(inputs.shape[2:])))
        try:
            gradients = input_gradients(
                call.asking(TargetSpec(result.targets)) if result.targets else call, self.relu_rule
            )
        except NoReLUError as error:
            nothing = Note(NO_RELU, f"nothing to guide: {error}")
            blank = torch.zeros(len(inputs), *options.size, device=inputs.device)
            return result.replace(maps=blank, notes=tuple((*notes, nothing) for notes in result.notes))
        guided, nonfinite = finite_values(gradients.values, "gradients at the input", options.allow_nonfinite)
        details = guided.abs().amax(1) * result.maps.to(guided.device)  # (B, *S)
        return result.replace(
            targets=gradients.targets,
            maps=pipeline.resize_and_aggregate([details], options),
            scores=gradients.scores,
            notes=tuple(
                (*notes, *([bad] if bad else []), *([NO_DETAILS] if is_dark and not notes else []))
                for notes, bad, is_dark in zip(result.notes, nonfinite, all_zero(details).tolist(), strict=True)
            ),
        )
