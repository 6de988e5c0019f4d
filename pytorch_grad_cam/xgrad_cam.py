"""XGradCAM."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import spatial_axes
from pytorch_grad_cam.targets.classification import Target

# Below this share of the summed magnitudes a channel's sum is rounding, and dividing by it means nothing.
POLE = 1e-5


class XGradCAM(BaseCAM):
    """Highlights active channels, each weighted by its gradient averaged with its activations as weights.

    ``w_k = sum_p G_k(p) A_k(p) / S_k``; ``L = relu(sum_k w_k A_k)``. Chosen so that each channel's map sums to its
    gradient times activation (sensitivity and conservation).

    Source: R. Fu et al., 2020, "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs",
    arXiv:2008.02312.
    Note: a channel whose activations cancel (``S_k`` near 0) gets weight 0 instead of a pole.
    """

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        axes = spatial_axes(activations)
        sums = activations.sum(axes)  # (B, C)
        pole = sums.abs() <= POLE * activations.abs().sum(axes)
        return (grads * activations).sum(axes) / torch.where(pole, torch.inf, sums)
