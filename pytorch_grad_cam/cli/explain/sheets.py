"""Contact sheets of a run: one small picture for each that was explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.visualization.sheet import contact_sheet

PER_SHEET = 100  # more would not fit on a screen
SIDE = 192  # pixels


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

    def add(self, overlay: NDArray[np.uint8], caption: str) -> None:
        """Keep a small copy of an overlay ``(H, W, 3)``."""
        from PIL import Image

        tile = Image.fromarray(overlay)
        tile.thumbnail((SIDE, SIDE))
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
