"""Many pictures in one: a labelled grid, a contact sheet, a colour bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.visualization.colormaps import JET, colours_of, lowest_value, ticks_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

TEXT = 14  # pixels
GAP = 6
_INK = (20, 20, 20)
_EMPTY = (225, 225, 225)


def labelled_grid(
    cells: Sequence[Sequence[Any | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    side: int = 224,
    colormap: int | None = None,
) -> NDArray[np.uint8]:
    """Put pictures into a table with a name for each row and column, e.g. methods x classes.

    Args:
        cells: rows of pictures, of any kind that `show_cam_on_image` takes; None leaves a cell empty, and says so.
        rows: a label for each row, written on its left.
        columns: a label for each column, written above it.
        side: a picture is scaled, its shape kept, to fit into this many pixels each way.
        colormap: one of OpenCV's ``COLORMAP_...``, or `colours.DIVERGING`: its colour bar is drawn on the right;
            None draws none.

    Returns:
        uint8 RGB ``(H, W, 3)``, on white.

    Raises:
        ValueError: if the numbers of labels and pictures differ.
    """
    if not cells or len(cells) != len(rows) or any(len(row) != len(columns) for row in cells):
        raise ValueError(
            f"{len(rows)} row labels and {len(columns)} column labels do not go with rows of "
            f"{[len(row) for row in cells]} pictures"
        )
    tiles = [[None if cell is None else _fitted(cell, side) for cell in row] for row in cells]
    drawn = [tile for row in tiles for tile in row if tile is not None]
    wide = max((tile.width for tile in drawn), default=side)
    high = max((tile.height for tile in drawn), default=side)
    left = GAP + max(map(text_width, rows)) + (GAP if any(rows) else 0)
    above = GAP + (TEXT + GAP if any(columns) else 0)
    bar = None if colormap is None else colour_bar(high, colormap)
    width = left + len(columns) * (wide + GAP) + (0 if bar is None else bar.shape[1] + GAP)
    sheet = _sheet(width, above + len(rows) * (high + GAP))
    for index, label in enumerate(columns):
        write_text(sheet, left + index * (wide + GAP), GAP, label, wide)
    for y, (label, row) in enumerate(zip(rows, tiles, strict=True)):
        top = above + y * (high + GAP)
        write_text(sheet, GAP, top + (high - TEXT) // 2, label)
        for x, tile in enumerate(row):
            _place(sheet, tile, left + x * (wide + GAP), top, wide, high)
    if bar is not None:
        from PIL import Image

        sheet.paste(Image.fromarray(bar), (width - bar.shape[1] - GAP, above))
    return np.array(sheet)


def contact_sheet(
    pictures: Sequence[Any], captions: Sequence[str], columns: int | None = None, side: int = 192
) -> NDArray[np.uint8]:
    """Lay many pictures out line by line, each with a caption below it.

    Args:
        pictures: of any kind that `show_cam_on_image` takes.
        captions: one for each; too long ones are shortened.
        columns: pictures per line; None makes the sheet about square.
        side: a picture is scaled, its shape kept, to fit into this many pixels each way.

    Returns:
        uint8 RGB ``(H, W, 3)``, on white.

    Raises:
        ValueError: if there are no pictures, or another number of captions.
    """
    if not pictures or len(pictures) != len(captions):
        raise ValueError(
            f"{len(pictures)} pictures and {len(captions)} captions: give at least one, and as many of each"
        )
    across = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    down = math.ceil(len(pictures) / across)
    step = side + TEXT + 2 * GAP
    sheet = _sheet(GAP + across * (side + GAP), GAP + down * step)
    for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = GAP + index % across * (side + GAP), GAP + index // across * step
        _place(sheet, _fitted(picture, side), x, y, side, side)
        write_text(sheet, x, y + side + GAP // 2, caption, side)
    return np.array(sheet)


def colour_bar(
    height: int = 224, colormap: int = JET, ticks: Sequence[str] | None = None, width: int = 14
) -> NDArray[np.uint8]:
    """Show which colour stands for which value.

    Args:
        height: in pixels.
        colormap: one of OpenCV's ``COLORMAP_...``, or `colours.DIVERGING`.
        ticks: written beside the bar at equal distances, the first at the bottom; None: the lowest, middle and highest
            value of a map.
        width: of the bar alone; the ticks are added to it.

    Returns:
        uint8 RGB ``(height, W, 3)``, on white.
    """
    ticks = ticks_of(colormap) if ticks is None else ticks
    colours = colours_of(np.linspace(1, lowest_value(colormap), height)[:, None], colormap)
    bar = _sheet(width + GAP + max(map(text_width, ticks), default=0), height)
    from PIL import Image

    bar.paste(Image.fromarray(np.repeat(colours, width, axis=1)), (0, 0))
    for index, tick in enumerate(ticks):
        share = index / max(len(ticks) - 1, 1)
        write_text(bar, width + GAP // 2, round((1 - share) * max(height - TEXT - 2, 0)), tick)
    return np.array(bar)


def _sheet(width: int, height: int) -> Image:
    from PIL import Image

    return Image.new("RGB", (width, height), "white")


def _fitted(picture: Any, side: int) -> Image:
    """Return a picture, scaled so that its longer side has ``side`` pixels."""
    from PIL import Image

    pixels = np.round(255 * unit_picture(picture)).astype(np.uint8)
    scale = side / max(pixels.shape[:2])
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)


def _place(sheet: Image, tile: Image | None, x: int, y: int, wide: int, high: int) -> None:
    """Paste a tile into the middle of its cell, or say that there is none."""
    if tile is not None:
        sheet.paste(tile, (x + (wide - tile.width) // 2, y + (high - tile.height) // 2))
        return
    sheet.paste(_EMPTY, (x, y, x + wide, y + high))
    write_text(sheet, x + (wide - text_width("no map")) // 2, y + (high - TEXT) // 2, "no map")


def write_text(sheet: Image, x: int, y: int, text: str, room: int | None = None) -> None:
    """Write one line onto a picture, shortened with dots if it is wider than the room."""
    from PIL import ImageDraw

    if room is not None and text_width(text) > room:
        while text and text_width(f"{text}...") > room:
            text = text[:-1]
        text = f"{text}..."
    ImageDraw.Draw(sheet).text((x, y), text, fill=_INK, font=_font())


def text_width(text: str) -> int:
    """Return how many pixels a line takes."""
    return math.ceil(_font().getlength(text))


def _font() -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(TEXT)
