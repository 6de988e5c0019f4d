"""NumPy arrays of tensors, and what is done to maps and activations as arrays, under grad-cam's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.engine import maps

Step = TypeVar("Step", bound=Callable[..., Any])


def to_numpy(values: Any) -> NDArray[Any]:
    """Turn a tensor (on any device, with or without a graph), a list or an array into an array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def in_kind(step: Step) -> Step:
    """Let a method that works on tensors take arrays too, and answer in arrays where it was given one."""

    @wraps(step)
    def answered(self: Any, *arguments: Any, **named: Any) -> Any:
        if not any(isinstance(value, np.ndarray) for value in (*arguments, *named.values())):
            return step(self, *arguments, **named)
        made = [torch.tensor(value) if isinstance(value, np.ndarray) else value for value in arguments]
        made_named = {
            name: torch.tensor(value) if isinstance(value, np.ndarray) else value for name, value in named.items()
        }
        return to_numpy(step(self, *made, **made_named))

    return cast(Step, answered)


def resize_arrays(values: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Resize maps ``(B, *S)`` of floats linearly to ``(B, *size)``, as `maps.resize` does."""
    resized: NDArray[Any] = maps.resize(torch.from_numpy(values), size).numpy()
    return resized


def scale_cam_image(cam: Any, target_size: Sequence[int] | None = None) -> NDArray[np.float32]:
    """Stretch each map of a batch to [0, 1], then resize it linearly.

    Args:
        cam: ``(B, *S)``, with one, two or three spatial axes.
        target_size: the new size in reverse order, as OpenCV writes it: (width, height), (width, height, depth); None
            keeps it.

    Returns:
        float32 ``(B, *S)``; a constant map becomes 0.
    """
    scaled = maps.unit_range(torch.from_numpy(to_numpy(cam).astype(np.float64)))
    if target_size is not None:
        scaled = maps.resize(scaled, tuple(reversed(tuple(target_size))))
    result: NDArray[np.float32] = scaled.float().numpy()
    return result


def scale_accross_batch_and_channels(tensor: Any, target_size: Sequence[int]) -> NDArray[np.float32]:
    """Do to each channel of each image what `scale_cam_image` does to a map: ``(B, C, *s)`` -> ``(B, C, *S)``."""
    array = to_numpy(tensor)
    scaled = scale_cam_image(array.reshape(-1, *array.shape[2:]), target_size)
    return scaled.reshape(*array.shape[:2], *scaled.shape[1:])


def get_2d_projection(activation_batch: Any) -> NDArray[np.float32]:
    """Project activations ``(B, C, *S)`` onto their first principal component, channels centred.

    Args:
        activation_batch: array or tensor; NaN counts as 0, and the caller's own stays as it is.

    Returns:
        float32 ``(B, *S)``, signed: it goes along with the plain channel sum.
    """
    return _projected(maps.principal_projection, activation_batch)


def get_2d_projection_kernel(
    activation_batch: Any, kernel: str = "sigmoid", gamma: float | None = None
) -> NDArray[np.float32]:
    """Project activations onto their first kernel principal component, see ``engine.kernel_pca``."""
    from pytorch_grad_cam.engine.kernel_pca import kernel_projection  # only KPCA-CAM and who asks for it

    return _projected(lambda values: kernel_projection(values, kernel, gamma), activation_batch)


def get_2d_projection_with_sign_correction(activation_batch: Any) -> NDArray[np.float32]:
    """Project activations as `get_2d_projection` does, whose sign needs no further correction."""
    return get_2d_projection(activation_batch)


def _projected(projection: Callable[[Tensor], Tensor], activation_batch: Any) -> NDArray[np.float32]:
    values = np.nan_to_num(to_numpy(activation_batch).astype(np.float64), posinf=np.inf, neginf=-np.inf)
    projected: NDArray[np.float32] = projection(torch.from_numpy(values)).float().numpy()
    return projected
