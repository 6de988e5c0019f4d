"""EigenGradCAM."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import principal_projection
from pytorch_grad_cam.targets.classification import Target


class EigenGradCAM(BaseCAM):
    """Highlights what stands out among the contributions: the first principal component of gradient times activation.

    ``L`` = EigenCAM of ``G_k(p) A_k(p)``, channels centred.

    Source: none known; a variant that the package ``grad-cam`` ships.
    Note: the component's sign is free; here the map goes along with HiResCAM's ``sum_k G_k A_k``. ``eigen_smooth``
    changes nothing: the map is a principal component already.
    """

    def get_cam_image(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
        eigen_smooth: bool = False,
    ) -> Tensor:
        return principal_projection(grads * activations)
