"""FEM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import principal_projection, spatial_axes
from pytorch_grad_cam.targets.classification import Target


class FEM(BaseCAM):
    """Highlights the places where channels are rarely as active as there. No gradient, no class.

    ``B_k(p) = [A_k(p) > mean_p A_k + k std_p A_k]``; ``L = relu(sum_k mean_p(A_k) B_k)``.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        k: how many standard deviations above its mean a channel must be. No value of ``n`` positions is more than
            ``sqrt(n - 1)`` above, so a layer with fewer than 6 positions gives an empty map by default.

    Source: K. A. A. Fuad et al., 2020, "Features Understanding in 3D CNNs for Actions Recognition in Video", IPTA,
    doi:10.1109/IPTA50016.2020.9286629.
    Note: the package ``grad-cam`` exchanges the two roles and weighs ``A_k`` by the mean of ``B_k``.
    """

    uses_gradients = False
    uses_targets = False

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        k: float = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, **kwargs)
        self.k = k

    def get_cam_image(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
        eigen_smooth: bool = False,
    ) -> Tensor:
        axes = spatial_axes(activations)
        means = activations.mean(axes, keepdim=True)  # (B, C, 1, ...)
        spread = activations.std(axes, correction=0, keepdim=True)
        rare = means * (activations > means + self.k * spread)  # (B, C, *s)
        return principal_projection(rare) if eigen_smooth else rare.sum(1)
