"""Edges of a picture: a map that knows no network, to compare others with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.pixels import unit_picture


def sobel_cam(img: Any) -> NDArray[np.uint8]:
    """Show how strong the edges of a picture are: ``(|dx| + |dy|) / 2`` of its gray values, by Sobel's 3 x 3 filters.

    A map that looks like this one shows edges, not what the network used.

    Args:
        img: RGB ``(H, W, 3)`` or gray ``(H, W)``: uint8, uint16, or floats in [0, 1]. Also a PIL image, or a tensor
            ``(C, H, W)``.

    Returns:
        uint8 ``(H, W)``; each of the two derivatives is cut off at 255.

    Raises:
        ValueError: if a shape or range is not as described.
    """
    import cv2

    gray = cv2.cvtColor(np.round(255 * unit_picture(img)).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    across, down = (cv2.convertScaleAbs(cv2.Sobel(gray, cv2.CV_64F, *axis, ksize=3)) for axis in ((1, 0), (0, 1)))
    return np.asarray(cv2.addWeighted(across, 0.5, down, 0.5, 0), np.uint8)
