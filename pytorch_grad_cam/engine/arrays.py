"""NumPy arrays of tensors, and maps stretched and resized as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytorch_grad_cam.engine import maps


def to_numpy(values: Any) -> NDArray[Any]:
    """Turn a tensor (on any device, with or without a graph), a list or an array into an array."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


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
