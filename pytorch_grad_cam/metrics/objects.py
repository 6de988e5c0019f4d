"""Where the object is, as masks and as boxes, whichever of the two a case was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.localisation import masks_of_boxes

Extents = NDArray[np.float64]  # (K, axes, 2): from where to where, the end exclusive, in the order of the axes


def object_masks(case: Case, *, of_boxes: bool = False) -> Tensor:
    """Return ``G``, the positions of the object: bool ``(B, *S)``, False everywhere where none is known.

    Args:
        case: with masks or boxes.
        of_boxes: fill the boxes also where there are masks.

    Raises:
        ValueError: if neither is given, or boxes are given for images that are no pictures.
    """
    if case.boxes is not None and (of_boxes or case.masks is None):
        return case.once("masks of boxes", lambda: _filled_boxes(case))
    if case.masks is None:
        raise _neither()
    return case.masks


def object_extents(case: Case) -> list[Extents]:
    """Return each image's boxes, of any number of axes; without boxes the one around its mask.

    Raises:
        ValueError: as `object_masks`.
    """
    if case.boxes is not None:
        _picture_size(case)
        return [rows.numpy().reshape(-1, 2, 2).transpose(0, 2, 1)[:, ::-1] for rows in case.boxes]  # x, y -> y, x
    if case.masks is None:
        raise _neither()
    return [_around(mask) for mask in case.masks.cpu().numpy()]


def without_object(case: Case) -> Tensor:
    """Say of which images no position is known to be the object's: bool ``(B,)``."""
    return ~object_masks(case).flatten(1).any(1)


def _filled_boxes(case: Case) -> Tensor:
    return torch.from_numpy(masks_of_boxes(case.boxes, _picture_size(case))).to(case.maps.device)


def _picture_size(case: Case) -> tuple[int, int]:
    size = tuple(case.maps.shape[1:])
    if len(size) != 2:
        raise ValueError(f"boxes (x1, y1, x2, y2) are of pictures, and the maps have the size {size}; give masks")
    return size[0], size[1]


def _around(mask: NDArray[Any]) -> Extents:
    places = np.argwhere(mask)  # (P, axes)
    if not len(places):
        return np.zeros((0, mask.ndim, 2))
    return np.stack([places.min(0), places.max(0) + 1], 1)[None].astype(np.float64)


def _neither() -> ValueError:
    return ValueError(
        "this metric compares maps with where the object is; give it masks=, bool (B, *S), or boxes=, of each image "
        "rows x1, y1, x2, y2"
    )
