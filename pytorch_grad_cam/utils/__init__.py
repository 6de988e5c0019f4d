"""The paths that people import targets, pictures and reshape transforms from; what stands there lives elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_grad_cam.common.lazy import loading as _loading

if TYPE_CHECKING:
    from pytorch_grad_cam.utils.image import deprocess_image as deprocess_image
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection as get_2d_projection

__getattr__ = _loading(__name__, {"deprocess_image": "image", "get_2d_projection": "svd_on_activations"})
