"""EigenCAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import principal_projection
from pytorch_grad_cam.targets.classification import Target


class EigenCAM(BaseCAM):
    """Highlights what stands out in the layer: the first principal component of its activations.

    ``X (n, C)`` the activations with positions as rows, ``X = U Sigma V^T``; ``L = relu(X v_1)``. No gradient, no
    class: asking for another target changes nothing.

    Args:
        centred: subtract each channel's mean over the positions first, as the package ``grad-cam`` does (default);
            False is the paper's form. All other arguments as for ``BaseCAM``.

    Source: M. B. Muhammad and M. Yeasin, 2020, "Eigen-CAM: Class Activation Map using Principal Components",
    arXiv:2008.00299.
    Note: the component's sign is free; here the map goes along with the plain channel sum, so it is bright where the
    layer is active. ``eigen_smooth`` changes nothing: the map is a principal component already.
    """

    uses_gradients = False
    uses_targets = False

    def __init__(self, *args: Any, centred: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.centred = centred

    def get_cam_image(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
        eigen_smooth: bool = False,
    ) -> Tensor:
        return principal_projection(activations, self.centred)
