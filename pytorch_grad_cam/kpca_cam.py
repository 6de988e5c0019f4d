"""KPCA-CAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.kernel_pca import checked_kernel, kernel_projection
from pytorch_grad_cam.targets.classification import Target


class KPCA_CAM(BaseCAM):  # noqa: N801 - the name is part of the interface
    """Highlights what stands out in the layer along a curve: the first kernel principal component. No class.

    Rows ``x_p`` of the centred activations, ``K_pq = tanh(gamma x_p . x_q + 1)`` centred to ``K'``;
    ``L = relu(sqrt(lambda_1) a_1)`` of the largest eigenvalue of ``K'``.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        kernel: "sigmoid" (as above), "linear" (then it is EigenCAM), "poly" (of degree 3), "rbf" or "cosine".
        gamma: the kernel's factor; None is 1 / number of channels.

    Raises:
        ValueError: for an unknown kernel; when called, for a layer whose kernel matrix would be too large.

    Source: S. Karmani et al., 2024, "KPCA-CAM: Visual Explainability of Deep Computer Vision Models using Kernel PCA",
    arXiv:2410.00267.
    Note: the component's sign is free; here the map goes along with the plain channel sum, so it is bright where the
    layer is active. ``eigen_smooth`` changes nothing: the map is a principal component already.
    """

    uses_gradients = False
    uses_targets = False

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        kernel: str = "sigmoid",
        gamma: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, **kwargs)
        self.kernel, self.gamma = checked_kernel(kernel), gamma

    def get_cam_image(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
        eigen_smooth: bool = False,
    ) -> Tensor:
        return kernel_projection(activations, self.kernel, self.gamma)
