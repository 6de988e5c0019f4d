"""HiResCAM."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.targets.classification import Target


class HiResCAM(BaseCAM):
    """Highlights the places that raised the score: each activation counts with its own gradient.

    ``L(p) = relu(sum_k G_k(p) A_k(p))``.

    Source: R. L. Draelos and L. Carin, 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of
    convolutional neural networks", arXiv:2011.08891.
    Note: if what follows the layer is one linear map, the signed map (``Explanation.raw``) sums to the score less the
    bias. ``eigen_smooth`` gives that guarantee up.
    """

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        return grads
