"""One figure for a paper or a slide: the picture, the overlay, the map with its colours, and what it is about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.drawing_names import Blend
from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.engine.arrays import to_numpy
from pytorch_grad_cam.engine.boxes import Box
from pytorch_grad_cam.visualization.blending import blended
from pytorch_grad_cam.visualization.colormaps import DIVERGING, JET, apply_colormap, colormap_number, lowest_value
from pytorch_grad_cam.visualization.overlay import check_image_weight, draw_boxes, fitted_mask
from pytorch_grad_cam.visualization.sheet import blank_sheet, colour_bar, paste_pixels, scaled_picture
from pytorch_grad_cam.visualization.text import line_height, wrapped, write_text

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST, LARGEST = 480, 1200  # pixels along the longer side of a panel that is not asked for
_WIDE = 1.8  # times as wide as high: panels below each other
_LETTERS = 34  # a panel's longer side is so many times as long as its letters are high
_NARROWEST = 20  # letters' heights: text gets no less room beside each other
_DIMMED = 0.6  # of what the network never saw, how much is the ground


@dataclass(frozen=True)
class Theme:
    """The colours of ground, title and smaller text, and of what the network never saw."""

    ground: tuple[int, int, int]
    ink: tuple[int, int, int]
    small: tuple[int, int, int]
    unseen: tuple[int, int, int]


LIGHT = Theme((255, 255, 255), (20, 20, 20), (90, 90, 90), (215, 215, 215))
DARK = Theme((22, 22, 26), (240, 240, 240), (170, 170, 170), (70, 70, 74))


def figure(
    picture: Any,
    map: Any,
    title: str = "",
    lines: Sequence[str] = (),
    *,
    signed: bool = False,
    colormap: int | str | None = None,
    blend: Blend = "classic",
    image_weight: float = 0.5,
    boxes: Sequence[Box] = (),
    side: int | None = None,
    dark: bool = False,
) -> NDArray[np.uint8]:
    """Draw a picture, the overlay and the map with its colour bar beside each other, under a title.

    Where the map is NaN, which the network never saw, the picture is dimmed; a thin frame lies around the rest, and the
    share of the picture that the network saw is written below.

    Args:
        picture: of any kind that `show_cam_on_image` takes.
        map: ``(h, w)`` in [0, 1], of a signed one in [-1, 1]; resized to the picture.
        title: in any script; takes two lines at most.
        lines: what is written below in small, e.g. method and layer.
        signed: the map says what speaks for and what against.
        colormap: a name or one of OpenCV's numbers; None: "jet", of a signed map "bluered".
        blend, image_weight: of the overlay, see `show_cam_on_image`.
        boxes: drawn on picture and overlay, in the picture's pixels.
        side: of a panel, pixels along its longer side; letters grow with it. None: the picture's own, from 480 to
            1,200; a smaller picture is enlarged a whole number of times, to squares.
        dark: light text on a dark ground.

    Returns:
        uint8 RGB ``(H, W, 3)``. Panels of wide pictures lie below each other.

    Raises:
        ValueError: if a shape, a range, a size or a name is not as described, or the colours are not for signed maps.
    """
    check_image_weight(image_weight)
    image = unit_picture(picture)
    number = colormap_number(colormap if colormap is not None else DIVERGING if signed else JET)
    if signed and not lowest_value(number):
        raise ValueError(f"colormap={colormap!r} has no white in its middle for 0; for signed maps take 'bluered'")
    height, width = _panel_size(image.shape[0], image.shape[1], side)
    values = fitted_mask(map, (height, width), number)
    theme = DARK if dark else LIGHT
    pixels = np.array(scaled_picture(np.round(255 * image).astype(np.uint8), height, width))
    overlay = blended(pixels.astype(np.float32) / np.float32(255), values, number, image_weight, blend)
    panels = [_outlined(panel, boxes, width / image.shape[1]) for panel in (pixels, overlay)]
    unseen = np.isnan(values)
    colours = apply_colormap(values, number)
    colours[unseen] = theme.unseen
    panels = [*(_dimmed(panel, unseen, theme) for panel in panels), colours]
    if unseen.any():
        seen = 1 - float(np.isnan(to_numpy(map)).mean())
        panels = [_framed(panel, unseen) for panel in panels]
        lines = [*lines, f"the network saw {100 * seen:.0f} % of the picture; the rest is dimmed"]
    return _laid_out(panels, number, signed, title, lines, theme)


def _panel_size(height: int, width: int, side: int | None) -> tuple[int, int]:
    """Return height and width of a panel."""
    longer = max(height, width)
    if side is None:
        enlarged = longer * math.ceil(SMALLEST / longer)
        side = min(enlarged, LARGEST)
    if side < _LETTERS:
        raise ValueError(f"side={side} leaves no room for text; give at least {_LETTERS} pixels, or None")
    return max(1, round(height * side / longer)), max(1, round(width * side / longer))


def _outlined(panel: NDArray[np.uint8], boxes: Sequence[Box], scale: float) -> NDArray[np.uint8]:
    sides = ("left", "top", "right", "bottom")
    scaled = [replace(box, **{name: round(scale * getattr(box, name)) for name in sides}) for box in boxes]
    return draw_boxes(panel, scaled, colour=(255, 255, 255)) if scaled else panel


def _dimmed(panel: NDArray[np.uint8], unseen: NDArray[np.bool_], theme: Theme) -> NDArray[np.uint8]:
    """Fade what the network never saw into the ground."""
    faded = np.array(panel)
    faded[unseen] = np.round((1 - _DIMMED) * panel[unseen] + _DIMMED * np.array(theme.ground)).astype(np.uint8)
    return faded


def _framed(panel: NDArray[np.uint8], unseen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draw a thin frame around what the network saw."""
    down, across = np.flatnonzero(~unseen.all(1)), np.flatnonzero(~unseen.all(0))
    if not len(down):
        return panel
    box = Box(int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1, 0, 0.0)
    return draw_boxes(panel, [box], colour=(255, 255, 255), width=max(1, round(max(panel.shape) / 400)))


def _laid_out(
    panels: Sequence[NDArray[np.uint8]], colormap: int, signed: bool, title: str, lines: Sequence[str], theme: Theme
) -> NDArray[np.uint8]:
    """Put panels, colour bar and text onto a sheet."""
    height, width = panels[0].shape[:2]
    em = max(12, round(max(height, width) / _LETTERS))
    small, pad = max(11, round(0.8 * em)), em
    ticks = ("against", "0", "for") if signed else ("0", "0.5", "1")
    bar = colour_bar(height, colormap, ticks, round(0.9 * em), text_height=small, ink=theme.ink, ground=theme.ground)
    column = width >= _WIDE * height
    step = (0, height + pad) if column else (width + pad, 0)
    across = width + pad + bar.shape[1] if column else 3 * width + 3 * pad + bar.shape[1]
    across = max(across, _NARROWEST * em)
    head = wrapped(title, across, round(1.25 * em), max_lines=2)
    foot = [part for line in lines for part in wrapped(line, across, small)]
    top = pad + len(head) * line_height(round(1.25 * em)) + (pad // 2 if head else 0)
    bottom = top + 2 * step[1] + height
    below = pad // 2 + len(foot) * line_height(small) if foot else 0
    sheet = blank_sheet(across + 2 * pad, bottom + below + pad, theme.ground)
    _write_lines(sheet, pad, pad, head, round(1.25 * em), theme.ink)
    for index, panel in enumerate(panels):
        paste_pixels(sheet, pad + index * step[0], top + index * step[1], panel)
    paste_pixels(sheet, pad + 2 * step[0] + width + pad, top + 2 * step[1], bar)
    _write_lines(sheet, pad, bottom + pad // 2, foot, small, theme.small)
    return np.array(sheet)


def _write_lines(sheet: Image, x: int, y: int, lines: Sequence[str], height: int, ink: tuple[int, int, int]) -> None:
    for number, line in enumerate(lines):
        write_text(sheet, x, y + number * line_height(height), line, height=height, ink=ink)
