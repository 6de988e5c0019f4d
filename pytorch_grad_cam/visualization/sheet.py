"""A white sheet, and what is put on it: pixels and lines of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

TEXT_HEIGHT = 14  # pixels
GAP = 6  # pixels between neighbours
_INK = (20, 20, 20)


def blank_sheet(width: int, height: int) -> Image:
    """Return a white sheet."""
    from PIL import Image

    return Image.new("RGB", (width, height), "white")


def paste_pixels(sheet: Image, x: int, y: int, pixels: NDArray[np.uint8]) -> None:
    """Put RGB pixels ``(H, W, 3)`` onto a sheet, their left upper corner at a place."""
    from PIL import Image

    sheet.paste(Image.fromarray(pixels), (x, y))


def write_text(
    sheet: Image, x: int, y: int, text: str, max_width: int | None = None, height: int = TEXT_HEIGHT
) -> None:
    """Write one line onto a sheet, shortened with dots if it is wider than it may be."""
    from PIL import ImageDraw

    if max_width is not None and text_width(text, height) > max_width:
        while text and text_width(f"{text}...", height) > max_width:
            text = text[:-1]
        text = f"{text}..."
    ImageDraw.Draw(sheet).text((x, y), text, fill=_INK, font=_font(height))


def text_width(text: str, height: int = TEXT_HEIGHT) -> int:
    """Return how many pixels a line takes."""
    return math.ceil(_font(height).getlength(text))


def _font(height: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(height)
