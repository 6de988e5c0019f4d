"""GradCAM."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import spatial_mean
from pytorch_grad_cam.targets.classification import Target


class GradCAM(BaseCAM):
    """Highlights where the channels that raise the score on average are active.

    ``w_k = mean_p G_k(p)``; ``L = relu(sum_k w_k A_k)``.

    Source: R. R. Selvaraju et al., 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", arXiv:1610.02391, equations 1 and 2.
    Note: averaging the gradient forgets where it acts, so a place may be credited that the model did not use; HiResCAM
    does not average.
    """

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        return spatial_mean(grads)  # eq. 1
