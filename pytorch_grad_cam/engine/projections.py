"""Principal components of activations as arrays, under the names of the package grad-cam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.engine.arrays import to_numpy
from pytorch_grad_cam.engine.kernel_pca import kernel_projection
from pytorch_grad_cam.engine.maps import principal_projection


def get_2d_projection(activation_batch: Any) -> NDArray[np.float32]:
    """Project activations ``(B, C, *S)`` onto their first principal component, channels centred.

    Args:
        activation_batch: array or tensor; NaN counts as 0, and the caller's own stays as it is.

    Returns:
        float32 ``(B, *S)``, signed: it goes along with the plain channel sum.
    """
    return _projected(principal_projection, activation_batch)


def get_2d_projection_kernel(
    activation_batch: Any, kernel: str = "sigmoid", gamma: float | None = None
) -> NDArray[np.float32]:
    """Project activations onto their first kernel principal component, see ``engine.kernel_pca``."""
    return _projected(lambda values: kernel_projection(values, kernel, gamma), activation_batch)


def get_2d_projection_with_sign_correction(activation_batch: Any) -> NDArray[np.float32]:
    """Project activations as `get_2d_projection` does, whose sign needs no further correction."""
    return get_2d_projection(activation_batch)


def _projected(projection: Callable[[Tensor], Tensor], activation_batch: Any) -> NDArray[np.float32]:
    values = np.nan_to_num(to_numpy(activation_batch).astype(np.float64), posinf=np.inf, neginf=-np.inf)
    projected: NDArray[np.float32] = projection(torch.from_numpy(values)).float().numpy()
    return projected
