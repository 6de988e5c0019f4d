"""GradCAM++."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import spatial_axes, spatial_sum
from pytorch_grad_cam.targets.classification import Target

SMALLEST = 0.1  # denominator; 2 where the activations are 0, larger where they are positive


class GradCAMPlusPlus(BaseCAM):
    """Highlights every place with positive gradient about equally, so that several objects of a class all show.

    ``alpha = G^2 / (2 G^2 + S_k G^3)``; ``w_k = sum_p alpha relu(G)``; ``L = relu(sum_k w_k A_k)``.

    Source: A. Chattopadhay et al., 2018, "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks",
    arXiv:1710.11063, equation 19 (the score's exponential cancels).
    Note: ``G^2`` is cancelled, ``w_k = sum_p relu(G) / (2 + S_k G)``, so nothing underflows and no epsilon is needed.
    That of ``grad-cam`` outweighs the squared gradients: there ``alpha`` is about ``G^2`` times a constant, and large
    gradients count by their cube, which draws a little more of the map onto one object. Where ``S_k`` is negative
    (signed activations) the denominator could reach zero; it is kept at 0.1 or more, so that no place counts more than
    ten times its gradient.
    """

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        denominator = (2 + spatial_sum(activations) * grads).clamp_min(SMALLEST)  # eq. 19, all of it / G^2
        return (grads.relu() / denominator).sum(spatial_axes(grads))
