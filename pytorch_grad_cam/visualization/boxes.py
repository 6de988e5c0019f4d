"""Boxes drawn on a picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.engine.boxes import Box


def draw_boxes(
    img: Any, boxes: Iterable[Box], colour: tuple[int, int, int] = (255, 40, 40), width: int | None = None
) -> NDArray[np.uint8]:
    """Draw the outlines of boxes on a picture of any kind that `show_cam_on_image` takes; colour and result are RGB.

    The lines have a dark edge on both sides, so they show on a picture of their own colour too.

    Args:
        width: of the lines, in pixels; None fits it to the picture.
    """
    image: NDArray[np.uint8] = np.round(255 * unit_picture(img)).astype(np.uint8)
    line = max(1, round(max(image.shape[:2]) / 200)) if width is None else width
    edge = max(1, line // 2)
    dark = np.dot(colour, (0.299, 0.587, 0.114)) >= 64  # ITU-R BT.601 luma; around a dark line the edge is light
    outlines = [(box.left, box.top, box.right, box.bottom) for box in boxes]
    for left, top, right, bottom in outlines:  # all edges first, so that none covers a line
        _draw_outline(image, left - edge, top - edge, right + edge, bottom + edge, line + 2 * edge, 0 if dark else 255)
    for outline in outlines:
        _draw_outline(image, *outline, line, colour)
    return image


def _draw_outline(
    image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int, line: int, colour: Any
) -> None:
    """Draw, into the image, the part of a rectangle's margin that lies in it."""
    height, width = image.shape[:2]
    down, across = np.arange(height), np.arange(width)
    rows, columns = (top <= down) & (down < bottom), (left <= across) & (across < right)
    middle_rows = (top + line <= down) & (down < bottom - line)
    middle_columns = (left + line <= across) & (across < right - line)
    image[np.outer(rows, columns) & ~np.outer(middle_rows, middle_columns)] = colour
