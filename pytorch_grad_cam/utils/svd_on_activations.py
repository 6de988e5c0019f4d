"""Principal components of activations, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.engine.arrays import get_2d_projection as get_2d_projection
from pytorch_grad_cam.engine.arrays import get_2d_projection_kernel as get_2d_projection_kernel
from pytorch_grad_cam.engine.arrays import (
    get_2d_projection_with_sign_correction as get_2d_projection_with_sign_correction,
)
