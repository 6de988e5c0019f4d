"""GradCAM, element by element."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.targets.classification import Target


class GradCAMElementWise(BaseCAM):
    """Highlights places with positive contributions, dropping negative ones before they can cancel them.

    ``L(p) = sum_k relu(G_k(p) A_k(p))``.

    Source: none known; a variant that the package ``grad-cam`` ships. For activations that are nowhere negative it
    equals LayerCAM.
    Note: overstates support where evidence conflicts.
    """

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        return torch.where(grads * activations > 0, grads, 0)
