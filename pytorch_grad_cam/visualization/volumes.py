"""Overlays of a map on a volume: its slices, each with its part of the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.engine.arrays import resize_arrays, to_numpy
from pytorch_grad_cam.visualization.colormaps import DIVERGING, JET
from pytorch_grad_cam.visualization.overlay import overlay_map
from pytorch_grad_cam.visualization.sheet import GAP, blank_sheet, colour_bar, contact_sheet, paste_pixels
from pytorch_grad_cam.visualization.text import TEXT_HEIGHT, text_width, write_text

_PLANES = {"LR": "sagittal", "AP": "coronal", "IS": "axial"}  # by the direction that is looked along
_TOP, _LEFT = "SA", "RA"  # what is shown there, the first that the slice has


def show_cam_on_volume(
    volume: Any,
    map: Any,
    *,
    axis: int = 0,
    slices: int | Sequence[int] = 9,
    choose: Literal["evenly", "evidence"] = "evenly",
    spacing: Sequence[float] = (1, 1, 1),
    orientation: str | None = None,
    window: tuple[float, float] | None = None,
    signed: bool = False,
    colormap: int = JET,
    image_weight: float = 0.5,
    columns: int | None = None,
    side: int = 192,
) -> NDArray[np.uint8]:
    """Lay slices of a volume out, each blended with its slice of the map, with captions and a colour bar.

    A slice is shown as the array has it: of the two axes that are left, the first goes down, the second to the right.
    With ``orientation`` it is shown as radiologists look at it instead: superior at the top (axial slices: anterior),
    the patient's right, and in sagittal slices anterior, on the left; letters at the borders say so.

    Args:
        volume: ``(D, H, W)``, ``(1, D, H, W)`` or ``(1, 1, D, H, W)``, array or tensor of any range; NaN is black.
        map: ``(d, h, w)`` in [0, 1]; in [-1, 1] if ``signed``. Another size than the volume's is resized linearly.
        axis: of the volume, 0, 1 or 2 (or from the end), across which the slices are cut.
        slices: how many, or their indices along ``axis``.
        choose: which, if a number is given: spread evenly over the axis, the middle of each of as many equal parts; or
            those in which the absolute values of the map add up to the most. Shown in the order of the axis.
        spacing: size of a voxel along each axis, e.g. in mm; only ratios matter.
        orientation: where each axis points as its index grows, one letter each: L or R, A or P, S or I; e.g. "RAS"
            (``"".join(nibabel.aff2axcodes(affine))``).
        window: what is shown black and white; None: lowest and highest value of the volume.
        signed: blue speaks against, white says nothing, red speaks for.
        colormap: one of OpenCV's ``COLORMAP_...``; does not matter if ``signed``.
        image_weight: 1 gives the slices alone, 0 the map alone.
        columns: slices per line; None makes the sheet about square.
        side: pixels along the longer side of a slice.

    Returns:
        uint8 RGB ``(H, W, 3)``, on white.

    Raises:
        ValueError: if a shape, a range, an axis, the spacing or the orientation is not as described.
        IndexError: for a slice that the volume does not have.
    """
    colormap = DIVERGING if signed else colormap
    gray, values = _gray_volume(volume, window), to_numpy(map)
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"map must have shape (d, h, w), not {values.shape}; give one map, e.g. maps[0]")
    axis = _checked_axis(axis, spacing, orientation)
    heat = resize_arrays(values.astype(np.float32)[None], gray.shape)[0]
    indices = _slice_indices(np.nan_to_num(heat), axis, slices, choose)
    down, right = _displayed_axes(axis, orientation)

    def displayed(array: NDArray[np.float32], index: int) -> NDArray[np.float32]:
        cut = _oriented(np.take(array, index, axis), axis, orientation)
        unit = min(spacing[down], spacing[right])  # pixels are squares of the smaller spacing
        lengths = zip(cut.shape, (spacing[down], spacing[right]), strict=True)
        shape = [max(1, round(length * space / unit)) for length, space in lengths]
        resized: NDArray[np.float32] = resize_arrays(cut.copy()[None], shape)[0]
        return resized

    overlays = [
        overlay_map(displayed(gray, index), displayed(heat, index), True, colormap, image_weight) for index in indices
    ]
    if orientation is not None:
        overlays = [_lettered(_enlarged(overlay, side), axis, orientation) for overlay in overlays]
    name = f"axis {axis}" if orientation is None else _PLANES[_opposites(orientation[axis])]
    slides = contact_sheet(overlays, [f"{name}: {index}" for index in indices], columns, side)
    bar = colour_bar(min(side, len(slides) - GAP), colormap)
    sheet = blank_sheet(slides.shape[1] + bar.shape[1] + GAP, len(slides))
    paste_pixels(sheet, 0, 0, slides)
    paste_pixels(sheet, slides.shape[1], GAP, bar)
    return np.array(sheet)


def _gray_volume(volume: Any, window: tuple[float, float] | None) -> NDArray[np.float32]:
    """Return the volume ``(D, H, W)`` in [0, 1]."""
    array = to_numpy(volume)
    shape = array.shape
    while array.ndim > 3 and len(array) == 1:
        array = array[0]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"volume must have shape (D, H, W), not {shape}; give one volume of one channel, e.g. x[0, 0]")
    values = array.astype(np.float32)
    finite = values[np.isfinite(values)]
    low, high = window or ((float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0))
    if window is not None and not low < high:
        raise ValueError(f"window={window} must be two numbers, the lower one first")
    spread = high - low if high > low else 1.0
    scaled: NDArray[np.float32] = np.nan_to_num((values - low) / spread, nan=0.0, posinf=1.0, neginf=0.0)
    return np.clip(scaled, 0, 1)


def _checked_axis(axis: int, spacing: Sequence[float], orientation: str | None) -> int:
    if axis not in range(-3, 3):
        raise ValueError(f"axis={axis} is none of a volume's three, 0 to 2")
    if len(spacing) != 3 or min(spacing) <= 0:
        raise ValueError(f"spacing={tuple(spacing)} must be three positive lengths of a voxel, one per axis")
    if orientation is not None and sorted(map(_opposites, orientation)) != sorted(_PLANES):
        raise ValueError(
            f"orientation={orientation!r} must have one letter per axis: L or R, A or P, S or I, e.g. 'RAS'"
        )
    return axis % 3


def _slice_indices(heat: NDArray[np.float32], axis: int, slices: int | Sequence[int], choose: str) -> list[int]:
    """Return the indices of the slices to show."""
    length = heat.shape[axis]
    if not isinstance(slices, (int, np.integer)):
        wrong = [index for index in slices if not -length <= index < length]
        if wrong or not len(slices):
            raise IndexError(f"slices {wrong} do not exist: axis {axis} has {length}, 0 to {length - 1}")
        return [int(index) % length for index in slices]
    if slices < 1:
        raise ValueError(f"slices={slices} must be a positive number, or a list of indices")
    count = min(int(slices), length)
    if choose == "evenly":
        return [(2 * part + 1) * length // (2 * count) for part in range(count)]
    if choose == "evidence":
        evidence = np.abs(heat).sum(axis=tuple(other for other in range(3) if other != axis), dtype=np.float64)
        return sorted(np.argsort(-evidence, kind="stable")[:count].tolist())
    raise ValueError(f"choose={choose!r} is unknown; choose 'evenly' or 'evidence'")


def _displayed_axes(axis: int, orientation: str | None) -> tuple[int, int]:
    """Return the volume's axes that a slice shows downwards and to the right."""
    first, second = (other for other in range(3) if other != axis)
    if orientation is None:
        return first, second
    upright = "IS" if _opposites(orientation[axis]) != "IS" else "AP"
    return (first, second) if _opposites(orientation[first]) == upright else (second, first)


def _oriented(cut: NDArray[np.float32], axis: int, orientation: str | None) -> NDArray[np.float32]:
    """Transpose and flip a slice as it is looked at."""
    if orientation is None:
        return cut
    down, right = _displayed_axes(axis, orientation)
    cut = cut if down < right else cut.T
    # An axis that grows towards what belongs at the top, or on the left, begins at the other end.
    cut = cut[::-1] if orientation[down] in _TOP else cut
    return cut[:, ::-1] if orientation[right] in _LEFT else cut


def _opposites(letter: str) -> str:
    """Return both directions along an axis, of which one is given: "LR", "AP" or "IS"; anything else as it is."""
    return next((pair for pair in _PLANES if letter in pair), letter)


def _enlarged(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale a slice so that its longer side has ``side`` pixels: letters are written at their own size."""
    from PIL import Image

    scale = side / max(picture.shape[:2])
    height, width = (max(1, round(length * scale)) for length in picture.shape[:2])
    return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _lettered(picture: NDArray[np.uint8], axis: int, orientation: str) -> NDArray[np.uint8]:
    """Write at the borders of a slice which way they lie, white with a dark rim."""
    down, right = (_opposites(orientation[other]) for other in _displayed_axes(axis, orientation))
    (top, bottom), (left, beside) = (
        sorted(pair, key=lambda letter: letter not in first) for pair, first in ((down, _TOP), (right, _LEFT))
    )
    height, width = picture.shape[:2]
    step, middle = TEXT_HEIGHT + 3, (height - TEXT_HEIGHT) // 2
    centre = (width - text_width(top)) // 2
    ink = blank_sheet(width, height)
    for letter, x, y in (
        (top, centre, 1),
        (bottom, centre, height - step),
        (left, 3, middle),
        (beside, width - text_width(beside) - 3, middle),
    ):
        write_text(ink, x, y, letter)
    covered = 1 - np.array(ink).astype(np.float32).mean(2) / 255  # (H, W): 1 where a letter is
    padded = np.pad(covered, 1)
    rim = np.max([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    dark = picture * (1 - rim[:, :, None])
    result: NDArray[np.uint8] = np.round(dark * (1 - covered[:, :, None]) + 255 * covered[:, :, None]).astype(np.uint8)
    return result
