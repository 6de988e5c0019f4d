"""LayerCAM."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import Target


class LayerCAM(BaseCAM):
    """Highlights places whose activations raise the score, each weighted by its own positive gradient.

    ``w_k(p) = relu(G_k(p))``; ``L(p) = relu(sum_k w_k(p) A_k(p))``. Made for early layers too.

    Source: P.-T. Jiang et al., 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE
    Transactions on Image Processing 30, doi:10.1109/TIP.2021.3089943.
    Note: several layers are averaged as for every method, not fused by tanh and maximum as in the paper.
    """

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        return grads.relu()
