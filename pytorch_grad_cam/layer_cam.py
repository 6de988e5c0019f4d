"""LayerCAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.targets.classification import Target


class LayerCAM(BaseCAM):
    """Highlights places whose activations raise the score, each weighted by its own positive gradient.

    ``w_k(p) = relu(G_k(p))``; ``L(p) = relu(sum_k w_k(p) A_k(p))``. Made for early layers too.

    Args:
        fusion: how several layers become one map: "mean" as for every method, or "max", the paper's: the largest of
            ``tanh(gamma L / max L)`` at each place, so that a fine early layer sharpens what a late one found.
        gamma: of that scale; larger values lift the weak places more. All other arguments as for ``BaseCAM``.

    Raises:
        ValueError: for an unknown fusion, or a gamma that is not positive.

    Source: P.-T. Jiang et al., 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE
    Transactions on Image Processing 30, doi:10.1109/TIP.2021.3089943.
    Note: the paper scales its shallow stages only; which these are no network says, so every layer is scaled.
    """

    def __init__(self, *args: Any, fusion: Literal["mean", "max"] = "mean", gamma: float = 2.0, **kwargs: Any) -> None:
        if fusion not in ("mean", "max"):
            raise ValueError(f"fusion={fusion!r} is unknown; choose 'mean' or 'max'")
        if not gamma > 0:
            raise ValueError(f"gamma={gamma} must be positive; the paper takes 2")
        super().__init__(*args, **kwargs)
        self.fusion, self.gamma = fusion, gamma

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        return grads.relu()

    @property
    def takes_steps(self) -> bool:
        return super().takes_steps and self.fusion == "mean"

    def combine_layers(self, call: Call, targets: list[Target], raws: Sequence[Tensor]) -> Tensor:
        if self.fusion == "mean":
            return super().combine_layers(call, targets, raws)
        options = call.options
        scaled = [torch.tanh(self.gamma * maps.unit_peak(raw.relu() if options.relu else raw)) for raw in raws]
        fused = torch.stack([maps.resize(values, options.size) for values in scaled]).amax(0)
        return options.normalize(fused).float()
