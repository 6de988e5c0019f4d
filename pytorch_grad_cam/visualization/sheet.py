"""White sheets: text and pictures laid out on them, labelled grids, contact sheets, and bars of colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.visualization.colormaps import JET, apply_colormap, lowest_value
from pytorch_grad_cam.visualization.text import INK, TEXT_HEIGHT, line_height, text_width, wrapped, write_text

if TYPE_CHECKING:
    from PIL.Image import Image

GAP = 6  # pixels between neighbours
_EMPTY = (225, 225, 225)
WHITE = (255, 255, 255)
Colour = tuple[int, int, int]


def blank_sheet(width: int, height: int, ground: Colour = WHITE) -> Image:
    """Return a sheet with nothing on it."""
    from PIL import Image

    return Image.new("RGB", (width, height), ground)


def paste_pixels(sheet: Image, x: int, y: int, pixels: NDArray[np.uint8]) -> None:
    """Put RGB pixels ``(H, W, 3)`` onto a sheet, their left upper corner at a place."""
    from PIL import Image

    sheet.paste(Image.fromarray(pixels), (x, y))


def scaled_picture(pixels: NDArray[np.uint8], height: int, width: int) -> Image:
    """Return RGB pixels ``(H, W, 3)`` in another size; enlarged to twice the size or more, they become squares."""
    from PIL import Image

    enlarged = height >= 2 * pixels.shape[0] and width >= 2 * pixels.shape[1]
    how = Image.Resampling.NEAREST if enlarged else Image.Resampling.BILINEAR
    return Image.fromarray(pixels).resize((width, height), how)


def colour_bar(
    height: int = 224,
    colormap: int = JET,
    ticks: Sequence[str] | None = None,
    width: int = 14,
    *,
    text_height: int = TEXT_HEIGHT,
    ink: Colour = INK,
    ground: Colour = WHITE,
) -> NDArray[np.uint8]:
    """Show which colour stands for which value.

    Args:
        height: in pixels.
        colormap: one of OpenCV's ``COLORMAP_...``, or `DIVERGING`.
        ticks: written beside the bar at equal distances, the first at the bottom; None: the lowest, middle and highest
            value of a map.
        width: of the bar alone; the ticks are added to it.
        text_height: of the ticks, in pixels.
        ink, ground: colours of the ticks and of what they stand on.

    Returns:
        uint8 RGB ``(height, W, 3)``.
    """
    if ticks is None:
        ticks = ("-1", "0", "1") if lowest_value(colormap) else ("0", "0.5", "1")
    colours = apply_colormap(np.linspace(1, lowest_value(colormap), height)[:, None], colormap)
    bar = blank_sheet(width + GAP + max((text_width(tick, text_height) for tick in ticks), default=0), height, ground)
    paste_pixels(bar, 0, 0, np.repeat(colours, width, axis=1))
    for index, tick in enumerate(ticks):
        share = index / max(len(ticks) - 1, 1)
        y = round((1 - share) * max(height - text_height - 2, 0))
        write_text(bar, width + GAP // 2, y, tick, height=text_height, ink=ink)
    return np.array(bar)


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
        colormap: one of OpenCV's ``COLORMAP_...``, or `DIVERGING`: its colour bar is drawn on the right; None draws
            none.

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
    tiles = [[None if cell is None else _tile(cell, side) for cell in row] for row in cells]
    pictures = [tile for row in tiles for tile in row if tile is not None]
    cell_width = max((tile.width for tile in pictures), default=side)
    cell_height = max((tile.height for tile in pictures), default=side)
    left = GAP + max(map(text_width, rows)) + (GAP if any(rows) else 0)
    above = GAP + (TEXT_HEIGHT + GAP if any(columns) else 0)
    bar = None if colormap is None else colour_bar(cell_height, colormap)
    right = left + len(columns) * (cell_width + GAP)
    sheet = blank_sheet(right + (0 if bar is None else bar.shape[1] + GAP), above + len(rows) * (cell_height + GAP))
    for index, label in enumerate(columns):
        write_text(sheet, left + index * (cell_width + GAP), GAP, label, cell_width)
    for row, (label, row_tiles) in enumerate(zip(rows, tiles, strict=True)):
        top = above + row * (cell_height + GAP)
        write_text(sheet, GAP, top + (cell_height - TEXT_HEIGHT) // 2, label)
        for column, tile in enumerate(row_tiles):
            _fill_cell(sheet, tile, left + column * (cell_width + GAP), top, cell_width, cell_height)
    if bar is not None:
        paste_pixels(sheet, right, above, bar)
    return np.array(sheet)


def contact_sheet(
    pictures: Sequence[Any], captions: Sequence[str], columns: int | None = None, side: int = 192, title: str = ""
) -> NDArray[np.uint8]:
    """Lay many pictures out line by line, each with a caption below it.

    Args:
        pictures: of any kind that `show_cam_on_image` takes.
        captions: one for each, of one line or more; a line that is too long goes on in a second, which is shortened.
        columns: pictures per line; None makes the sheet about square.
        side: a picture is scaled, its shape kept, to fit into this many pixels each way.
        title: a line above all.

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
    written = [
        [part for line in caption.split("\n") for part in wrapped(line, side, max_lines=2) or [""]]
        for caption in captions
    ]
    lines = max(1, *map(len, written))
    tiles = [_tile(picture, side) for picture in pictures]
    height = max(tile.height for tile in tiles)
    step = height + TEXT_HEIGHT + 2 * GAP + (lines - 1) * line_height()
    above = GAP + (line_height() if title else 0)
    sheet = blank_sheet(GAP + across * (side + GAP), above + down * step)
    write_text(sheet, GAP, GAP // 2, title, sheet.width - 2 * GAP)
    for index, (tile, caption) in enumerate(zip(tiles, written, strict=True)):
        x, y = GAP + index % across * (side + GAP), above + index // across * step
        _fill_cell(sheet, tile, x, y, side, height)
        for number, line in enumerate(caption):
            write_text(sheet, x, y + height + GAP // 2 + number * line_height(), line, side)
    return np.array(sheet)


def _tile(picture: Any, side: int) -> Image:
    """Return a picture, scaled so that its longer side has ``side`` pixels."""
    pixels = np.round(255 * unit_picture(picture)).astype(np.uint8)
    scale = side / max(pixels.shape[:2])
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    return scaled_picture(pixels, height, width)


def _fill_cell(sheet: Image, tile: Image | None, x: int, y: int, width: int, height: int) -> None:
    """Paste a tile into the middle of its cell, or say that there is none."""
    if tile is not None:
        sheet.paste(tile, (x + (width - tile.width) // 2, y + (height - tile.height) // 2))
        return
    sheet.paste(_EMPTY, (x, y, x + width, y + height))
    write_text(sheet, x + (width - text_width("no map")) // 2, y + (height - TEXT_HEIGHT) // 2, "no map")
