"""RefineCAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.wrapper_cam import WrapperCAM
from pytorch_grad_cam.common.messages import CANCELLED, Note
from pytorch_grad_cam.core.call import Call, CallResult
from pytorch_grad_cam.core.pipeline import resize_and_aggregate
from pytorch_grad_cam.engine.layers import STAGES
from pytorch_grad_cam.engine.maps import is_constant
from pytorch_grad_cam.grad_cam_plusplus import GradCAMPlusPlus
from pytorch_grad_cam.hirescam import HiResCAM

Fusion = Literal["product", "geometric"]
DISAGREE = Note(CANCELLED, "the layers agree nowhere: at every position the map of one of them is 0")


class RefineCAM(WrapperCAM):
    """Highlights what all layers agree on: the product of their maps, sharp as the early, sure as the late ones.

    ``L = minmax(prod_l minmax(U(relu(L_l))))`` over the target layers, all from one forward and one backward pass.

    Args:
        model, reshape_transform: as for ``BaseCAM``.
        target_layers: as for ``BaseCAM``; None is "stages": of one layer there is nothing to agree on.
        base_method: the class of the method that makes the layers' maps; None: HiResCAM where layers are chosen by
            "stages" (the map of an early layer is its positions' own evidence there), and GradCAM++, as in the package
            ``grad-cam``, where they are given.
        fusion: "product", or its root, "geometric", which keeps weak places visible.
        **kwargs: handed to the base method.

    Raises:
        ValueError: for an unknown fusion.

    Source: Domeniconi et al., 2026, RefineCAM, arXiv:2605.14641.
    Note: of a single layer it is the base's map. A position where one layer's map is 0 is 0. Signed maps are the
    product of the evidence for less the product of the evidence against.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        base_method: Callable[..., BaseCAM] | None = None,
        *,
        fusion: Fusion = "product",
        **kwargs: Any,
    ) -> None:
        if fusion not in get_args(Fusion):
            raise ValueError(f"fusion={fusion!r} is unknown; choose 'product' or 'geometric'")
        layers = STAGES if target_layers is None else target_layers
        base = base_method or (HiResCAM if isinstance(layers, str) and layers == STAGES else GradCAMPlusPlus)
        super().__init__(model, layers, reshape_transform, base, **kwargs)
        self.fusion = fusion

    def explain_call(self, call: Call) -> CallResult:
        result = self.base_cam.explain_call(call)
        if not self.base_cam.uses_layers:  # then what it calls raw is not one map per target layer
            return result
        layers = torch.stack([resize_and_aggregate([raw], call.options) for raw in result.raw])  # (layers, B, *size)
        together = self._product(layers) - self._product(-layers)
        blank = (is_constant(together) & (together.flatten(1) == 0).all(1)).tolist()
        notes = tuple(
            (*notes, DISAGREE) if is_blank and not notes else notes
            for is_blank, notes in zip(blank, result.notes, strict=True)
        )
        return result.replace(maps=call.options.normalize(together), notes=notes)

    def _product(self, layers: Tensor) -> Tensor:
        """Multiply the positive parts of ``(layers, B, *size)``."""
        product = layers.relu().prod(0)
        return product ** (1 / len(layers)) if self.fusion == "geometric" else product
