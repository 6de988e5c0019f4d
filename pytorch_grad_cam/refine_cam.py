"""RefineCAM."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.wrapper_cam import MetaCAM
from pytorch_grad_cam.common.notes import CANCELLED, Note
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.core.options import SCALES, How
from pytorch_grad_cam.engine.maps import is_constant
from pytorch_grad_cam.grad_cam_plusplus import GradCAMPlusPlus
from pytorch_grad_cam.targets.classification import Target, Targets

Fusion = Literal["product", "geometric"]
DISAGREE = Note(CANCELLED, "the layers agree nowhere: at every position the map of one of them is 0")


class RefineCAM(MetaCAM):
    """Highlights what all layers agree on: the product of their maps, sharp as the early, sure as the late ones.

    ``L = minmax(prod_l minmax(U(relu(L_l))))`` over the target layers, all from one forward and one backward pass.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        base_method: the class of the method that makes the layers' maps.
        fusion: "product", or its root, "geometric", which keeps weak places visible.
        **kwargs: handed to the base method.

    Raises:
        ValueError: for an unknown fusion.

    Source: Domeniconi et al., 2026, RefineCAM, arXiv:2605.14641.
    Note: a position where one layer's map is 0 is 0. Signed maps are the product of the evidence for less the product
    of the evidence against.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        base_method: Callable[..., BaseCAM] = GradCAMPlusPlus,
        *,
        fusion: Fusion = "product",
        **kwargs: Any,
    ) -> None:
        if fusion not in get_args(Fusion):
            raise ValueError(f"fusion={fusion!r} is unknown; choose 'product' or 'geometric'")
        super().__init__(model, target_layers, reshape_transform, base_method, **kwargs)
        self.fusion = fusion

    def _explain_view(
        self, inputs: Tensor, targets: Targets, how: How, undo: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Explanation, list[Target]]:
        explanation, each = self._base_view(inputs, targets, how, undo)
        if not self.base_cam.uses_layers:  # then what it calls raw is not one map per target layer
            return explanation, each
        layers = torch.stack([how.finish([raw]) for raw in explanation.raw])  # (layers, B, *size)
        together = self._together(layers) - self._together(-layers)
        blank = (is_constant(together) & (together.flatten(1) == 0).all(1)).tolist()
        notes = tuple(
            (*said, DISAGREE) if empty and not said else said
            for empty, said in zip(blank, explanation.notes, strict=True)
        )
        return dataclasses.replace(explanation, maps=SCALES[how.scale](together), notes=notes), each

    def _together(self, layers: Tensor) -> Tensor:
        """Multiply the positive parts of ``(layers, B, *size)``."""
        product = layers.relu().prod(0)
        return product ** (1 / len(layers)) if self.fusion == "geometric" else product
