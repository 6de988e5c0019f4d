"""SegEigenCAM."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import principal_projection
from pytorch_grad_cam.targets.classification import Target


class SegEigenCAM(BaseCAM):
    """Highlights what stands out where the score is sensitive: made for the masked score of a segmentation.

    ``L`` = EigenCAM of ``|G_k(p)| A_k(p)``, channels centred.

    Source: C.-T. Chung and J. J.-C. Ying, 2025, "Seg-Eigen-CAM: Eigen-Value-Based Visual Explanations for Semantic
    Segmentation Models", Applied Sciences 15(13):7562, doi:10.3390/app15137562.
    Note: the component's sign is free; the paper makes its largest magnitude positive, which turns the map around
    when the object covers most of the picture; here it goes along with ``sum_k |G_k| A_k``. ``|G|`` makes evidence for
    and against the class look alike. ``eigen_smooth`` changes nothing: the map is a principal component already.
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
        return principal_projection(grads.abs() * activations)
