"""Contact sheets of a run: one small picture for each that was explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.visualization.sheet import contact_sheet

if TYPE_CHECKING:
    from PIL.Image import Image

PER_SHEET = 100  # more would not fit on a screen
SIDE = 192  # pixels
_MARK = 22  # pixels
_RIGHT, _WRONG = (0, 114, 178), (213, 94, 0)  # blue and orange, which nearly everybody tells apart


class ContactSheets:
    """Collects overlays and writes ``contact_sheet.jpg``, ``contact_sheet_2.jpg``, ... into a folder.

    Args:
        folder: of the run.
        overwrite: replace the sheets of an earlier run; else the next free names are taken.
    """

    def __init__(self, folder: Path, overwrite: bool) -> None:
        self._folder, self._overwrite = folder, overwrite
        self._tiles: list[NDArray[np.uint8]] = []
        self._captions: list[str] = []

    def add(self, overlay: NDArray[np.uint8], caption: str, right: bool | None = None) -> None:
        """Keep a small copy of an overlay ``(H, W, 3)``, with a mark if it is known whether the prediction is right."""
        from PIL import Image

        tile = Image.fromarray(overlay)
        tile = tile.resize([max(1, round(length * SIDE / max(tile.size))) for length in tile.size])
        if right is not None:
            _mark(tile, right)
        self._tiles.append(np.array(tile))
        self._captions.append(caption)

    def write(self) -> list[Path]:
        """Write what was collected, if that is more than one picture, and return the files."""
        written: list[Path] = []
        if len(self._tiles) < 2:
            return written
        number = 0
        for start in range(0, len(self._tiles), PER_SHEET):
            part = slice(start, start + PER_SHEET)
            sheet = contact_sheet(self._tiles[part], self._captions[part], side=SIDE)
            number += 1
            while not self._overwrite and self._path(number).exists():
                number += 1
            write_image(self._path(number), sheet)
            written.append(self._path(number))
        return written

    def _path(self, number: int) -> Path:
        return self._folder / ("contact_sheet.jpg" if number == 1 else f"contact_sheet_{number}.jpg")


def _mark(tile: Image, right: bool) -> None:
    """Frame a tile and draw a check mark or a cross into its corner: told apart by form, and by blue and orange."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(tile)
    width, height = tile.size
    colour = _RIGHT if right else _WRONG
    draw.rectangle((0, 0, width - 1, height - 1), outline=colour, width=3)
    left = width - _MARK
    draw.rectangle((left, 0, width - 1, _MARK - 1), fill=colour)
    strokes = [[(5, 12), (9, 17), (17, 6)]] if right else [[(6, 6), (16, 16)], [(16, 6), (6, 16)]]
    for stroke in strokes:
        draw.line([(left + x, y) for x, y in stroke], fill="white", width=3)
