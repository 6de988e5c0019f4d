"""GuidedGradCAM."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.input_gradients import input_gradients
from pytorch_grad_cam.common.errors import NoReLUError
from pytorch_grad_cam.common.notes import NO_RELU, ZERO_ATTRIBUTION, Note
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.core.forward_pass import finite_values
from pytorch_grad_cam.core.options import How
from pytorch_grad_cam.engine.diagnosis import all_zero
from pytorch_grad_cam.engine.image_model import door
from pytorch_grad_cam.engine.relu_rules import Rule
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.targets.classification import Target, Targets, category_of

DARK = Note(ZERO_ATTRIBUTION, "no gradient reaches the input inside the map")


class GuidedGradCAM(BaseCAM):
    """Highlights the edges and details inside what another method highlights.

    ``E = R * U(L)``, ``R`` the input gradient by guided backpropagation ``(B, C, *S)``, ``U(L)`` the map of the other
    method in the input's size; the map is ``max_c |E_c(p)|``, with the sign of ``L``.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        method: makes the other method from model, target_layers and reshape_transform: a class such as ``LayerCAM``,
            or a ``functools.partial`` of one with options of its own.
        relu_rule: how the gradient passes ReLUs on its way to the input: "guided", "deconv", or "plain".
        **kwargs: as for ``BaseCAM``.

    Source: R. R. Selvaraju et al., 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", arXiv:1610.02391, section 3.2.
    Note: ``raw``, ``weights`` and ``layers`` of the Explanation are those of the other method; ``attributions`` returns
    ``E``. Guided backpropagation shows nearly the same for every class and hardly depends on the weights of the late
    layers: what is specific comes from the map. In a network without ReLU the result is 0 and says so.
    """

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
        super().__init__(model, target_layers, reshape_transform, relu_rule=relu_rule, **kwargs)
        self.cam = method(model, self.target_layers, reshape_transform)
        self.cam.output = self.output
        self.uses_layers = self.cam.uses_layers
        if not self.uses_layers:
            self.target_layers = []  # None would search for a layer

    def attributions(self, input_tensor: Any, targets: Targets = None) -> Tensor:
        """Return ``E``, ``(B, C, *S)``: guided backpropagation inside the other method's map, scaled to [0, 1].

        Raises:
            ValueError: if there is no ReLU between target and input; other errors as for ``explain``.
        """
        found = self.cam.explain(input_tensor, targets)
        inputs, network = door(
            self.model, input_tensor, None, None, self.output, allow_nonfinite=False, keep_graph=False
        )
        with undisturbed(self.model, inputs.device):
            guided = input_gradients(network, inputs, targets, None, self.relu_rule)
        return guided.values * found.maps[:, None]

    def _explain_view(
        self, inputs: Tensor, targets: Targets, how: How, undo: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Explanation, list[Target]]:
        if self.uses_layers:
            self.cam.target_layers = self.target_layers  # chosen on the first input if none were given
        if how.differentiable:
            raise ValueError("the maps of GuidedGradCAM cannot be differentiated; use the other method alone")
        same_size = dataclasses.replace(how, size=tuple(inputs.shape[2:]))
        with self.cam._calling(self.network):
            explanation, each = self.cam._explain_view(inputs, targets, same_size, undo)
        try:
            found = input_gradients(self.network, inputs, each or targets, undo, self.relu_rule)
        except NoReLUError as error:
            nothing = Note(NO_RELU, f"nothing to guide: {error}")
            notes = tuple((*said, nothing) for said in explanation.notes)
            blank = torch.zeros(len(inputs), *how.size, device=inputs.device)
            return dataclasses.replace(explanation, maps=blank, notes=notes), each
        guided, nonfinite = finite_values(found.values, "gradients at the input", how.allow_nonfinite)
        details = guided.abs().amax(1) * explanation.maps  # (B, *S)
        dark = all_zero(details).tolist()
        explanation = dataclasses.replace(
            explanation,
            maps=how.finish([details]),
            scores=found.scores,
            classes=tuple(map(category_of, found.targets)),
            notes=tuple(
                (*said, *([bad] if bad else []), *([DARK] if is_dark and not said else []))
                for said, bad, is_dark in zip(explanation.notes, nonfinite, dark, strict=True)
            ),
        )
        return explanation, found.targets
