"""Pictures as the plug-ins of Neural Network Console draw them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import resize, unit_range

# Position in the map's range -> red, green, blue; linear in between.
_KNOTS = torch.tensor([0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1], dtype=torch.float64)
_COLOURS = torch.tensor(
    [[0, 0, 127.5], [0, 0, 255], [0, 255, 255], [255, 255, 0], [255, 0, 0], [127.5, 0, 0]], dtype=torch.float64
)
CLIPPED = (1, 99)  # percentiles of a sensitivity map beyond which it is black or white


def coloured(maps: Tensor) -> Tensor:
    """Colour maps ``(B, *S)`` from dark blue (0) over cyan and yellow to dark red (1).

    Returns float64 ``(B, 3, *S)``, RGB in 0..255.
    """
    values = maps.double()
    after = torch.bucketize(values, _KNOTS.to(maps.device)).clamp(1, len(_KNOTS) - 1)
    knots, colours = _KNOTS.to(maps.device), _COLOURS.to(maps.device)
    share = ((values - knots[after - 1]) / (knots[after] - knots[after - 1]))[..., None]
    return (colours[after - 1] * (1 - share) + colours[after] * share).movedim(-1, 1)


def overlay(maps: Tensor, pictures: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Lay the colours of maps over the pictures, half and half: uint8 RGB ``(B, H, W, 3)``.

    The colours are resized, not the map: between two cells the picture shows a mixture of their colours.

    Args:
        maps: ``(B, h, w)`` of any range; each is stretched to [0, 1], a constant one becomes 0.
        pictures: ``(B, 1 | 3, H, W)`` in 0..255, gray or RGB.
        size: height and width of the centred part that the maps cover; the rest has no colour, black. None: all of it.
    """
    height, width = pictures.shape[2:]
    colours = coloured(unit_range(maps))  # (B, 3, h, w)
    seen = size or (height, width)
    resized = resize(colours.flatten(0, 1), seen).reshape(-1, 3, *seen)
    framed = resized.new_zeros(len(maps), 3, height, width)
    top, left = (height - seen[0]) // 2, (width - seen[1]) // 2
    framed[:, :, top : top + seen[0], left : left + seen[1]] = resized
    blend: Tensor = 0.5 * framed + 0.5 * pictures.double()  # (B, 3, H, W)
    return blend.to(torch.uint8).movedim(1, 3)


def sensitivity(maps: Tensor) -> Tensor:
    """Draw maps ``(B, H, W)`` of squared gradients in gray, uint8, between their 1st and 99th percentile.

    Where both percentiles are equal, what exceeds them is white and the rest black.
    """
    values = maps.double()
    limits = np.percentile(values.flatten(1).numpy(), CLIPPED, axis=1)  # torch's quantile refuses large pictures
    low, high = torch.from_numpy(limits)[:, :, None, None]
    spread = torch.where(high > low, high - low, 1.0)
    scaled = torch.where(high > low, (values - low) / spread, (values > high).double())
    return (255 * scaled.clamp(0, 1)).to(torch.uint8)
