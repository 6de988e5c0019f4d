"""A chart of a signal: each part of the curve in the colour of its map."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.engine.arrays import resize_arrays, to_numpy
from pytorch_grad_cam.visualization.colormaps import DIVERGING, JET, apply_colormap, check_range, lowest_value
from pytorch_grad_cam.visualization.sheet import GAP, blank_sheet, colour_bar, paste_pixels
from pytorch_grad_cam.visualization.text import TEXT_HEIGHT, text_width, write_text

_INK = (60, 60, 60)
_GRID_LINE = (225, 225, 225)
_UNSEEN = 160  # gray
_MARGIN = 8  # pixels between a panel's border and its curve
_FRACTION_BITS = 4  # of a pixel, which OpenCV takes

Tick = tuple[float, str]  # a value, and how it is written


def show_cam_on_signal(
    signal: Any,
    map: Any,
    *,
    names: Sequence[str] | None = None,
    rate: float | None = None,
    signed: bool = False,
    colormap: int = JET,
    size: tuple[int, int] = (180, 900),
) -> NDArray[np.uint8]:
    """Draw a signal, a panel for each channel, coloured by its map, with axes and a colour bar.

    Time goes from left to right; each channel has its own vertical scale, from its lowest to its highest value.

    Args:
        signal: ``(T,)``, ``(C, T)`` or ``(1, C, T)``, array or tensor; where it is NaN or infinite there is no curve.
        map: ``(t,)`` in [0, 1]; in [-1, 1] if ``signed``. Another length than the signal's is resized linearly. Where
            it is NaN the curve is gray.
        names: one per channel, written above its panel.
        rate: samples per second; the time axis then shows seconds. None: it shows sample numbers.
        signed: blue speaks against, white says nothing, red speaks for.
        colormap: one of OpenCV's ``COLORMAP_...``; does not matter if ``signed``.
        size: height and width of a panel in pixels.

    Returns:
        uint8 RGB ``(H, W, 3)``, on white.

    Raises:
        ValueError: if a shape, a range, the rate or the number of names is not as described.
    """
    channels, values = _checked_signal(signal), to_numpy(map)
    colormap = DIVERGING if signed else colormap
    if values.ndim != 1 or not len(values):
        raise ValueError(f"map must have shape (t,), not {values.shape}; give one map, e.g. maps[0]")
    check_range(values, colormap, "map")
    if names is not None and len(names) != len(channels):
        raise ValueError(f"{len(names)} names for a signal of {len(channels)} channels; give one for each")
    if rate is not None and not rate > 0:
        raise ValueError(f"rate must be a positive number of samples per second, not {rate}")
    if min(size) < 4 * _MARGIN:
        raise ValueError(f"size={size} leaves no room for a curve; give at least {4 * _MARGIN} pixels each way")
    resized = resize_arrays(values.astype(np.float32)[None], (channels.shape[1],))[0]
    colours = _segment_colours(np.clip(resized, lowest_value(colormap), 1), colormap)
    panels = [_Panel(channel, (channels.shape[1] - 1) / (rate or 1), size) for channel in channels]
    unit = "sample" if rate is None else "seconds"
    return _chart(panels, colours, names, unit, colour_bar(max(size[0], 60), colormap))


def _checked_signal(signal: Any) -> NDArray[np.float64]:
    """Return the signal as ``(C, T)``, NaN where it is not finite."""
    array = to_numpy(signal)
    shape = array.shape
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"signal must have shape (T,) or (C, T), not {shape}; give one signal, e.g. x[0]")
    return np.where(np.isfinite(array), array, np.nan).astype(np.float64)


def _segment_colours(values: NDArray[np.float32], colormap: int) -> NDArray[np.uint8]:
    """Return the colours of the ``T - 1`` parts of the curve (one, if there is one sample): the mean of both ends."""
    between = (values[:-1] + values[1:]) / 2 if len(values) > 1 else values
    colours = apply_colormap(between, colormap)
    colours[np.isnan(between)] = _UNSEEN
    return colours


@dataclass(frozen=True)
class _Panel:
    """Shows one channel in a frame, time to the right and values upwards."""

    channel: NDArray[np.float64]  # (T,), NaN where there is no curve
    duration: float  # the time of the last sample; that of the first is 0
    size: tuple[int, int]  # height and width in pixels

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Return the values at the lower and upper end."""
        finite = self.channel[np.isfinite(self.channel)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        room = 0 if high > low else abs(low) / 2 or 1.0
        return low - room, high + room

    @property
    def value_ticks(self) -> list[Tick]:
        return _ticks(*self.limits, count=3)

    @property
    def time_ticks(self) -> list[Tick]:
        return _ticks(0, self.duration, count=8)

    def x(self, time: float) -> int:
        """Return the column of a time."""
        return round(_MARGIN + (time / self.duration if self.duration else 0) * (self.size[1] - 1 - 2 * _MARGIN))

    def y(self, value: float) -> int:
        """Return the row of a value."""
        low, high = self.limits
        return round(_MARGIN + (high - value) / (high - low) * (self.size[0] - 1 - 2 * _MARGIN))

    def pixels(self, colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw the grid lines, the frame and the curve."""
        pixels = np.full((*self.size, 3), 255, np.uint8)
        for time, _ in self.time_ticks:
            pixels[:, self.x(time)] = _GRID_LINE
        for value, _ in self.value_ticks:
            pixels[self.y(value)] = _GRID_LINE
        pixels[[0, -1]], pixels[:, [0, -1]] = _INK, _INK
        _draw_curve(pixels, self.channel, self.limits, colours)
        return pixels


def _chart(
    panels: Sequence[_Panel], colours: NDArray[np.uint8], names: Sequence[str] | None, unit: str, bar: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Put panels of one size below each other, with their ticks, names, one time axis and a colour bar."""
    height, width = panels[0].size
    left = 2 * GAP + max((text_width(text) for panel in panels for _, text in panel.value_ticks), default=0)
    name_height = TEXT_HEIGHT + GAP if names else 0
    step = height + name_height + 2 * GAP
    below = GAP + len(panels) * step
    sheet = blank_sheet(left + width + 2 * GAP + bar.shape[1] + GAP, below + 2 * TEXT_HEIGHT + 2 * GAP)
    paste_pixels(sheet, left + width + 2 * GAP, GAP + name_height, bar)
    for index, panel in enumerate(panels):
        top = GAP + index * step + name_height
        paste_pixels(sheet, left, top, panel.pixels(colours))
        for value, text in panel.value_ticks:
            write_text(sheet, left - GAP - text_width(text), top + panel.y(value) - TEXT_HEIGHT // 2 - 2, text)
        if names is not None:
            write_text(sheet, left, top - name_height, names[index], width)
    for time, text in panels[0].time_ticks:
        write_text(sheet, left + panels[0].x(time) - text_width(text) // 2, below - GAP, text)
    write_text(sheet, left + (width - text_width(unit)) // 2, below + TEXT_HEIGHT - GAP // 2, unit)
    return np.array(sheet)


def _draw_curve(
    pixels: NDArray[np.uint8], channel: NDArray[np.float64], limits: tuple[float, float], colours: NDArray[np.uint8]
) -> None:
    """Draw one curve into its panel: a dark rim first, so that pale colours are seen on white."""
    import cv2

    height, width = pixels.shape[:2]
    last = max(len(channel) - 1, 1)
    across = _MARGIN + np.arange(len(channel)) / last * (width - 1 - 2 * _MARGIN)
    down = _MARGIN + (limits[1] - channel) / (limits[1] - limits[0]) * (height - 1 - 2 * _MARGIN)
    finite = np.isfinite(down)
    points = np.round(np.stack([across, np.where(finite, down, 0)], 1) * 2**_FRACTION_BITS).astype(np.int32)
    following = np.minimum(np.arange(len(colours)) + 1, len(channel) - 1)
    has_curve = finite[: len(colours)] & finite[following]
    for inks, thickness in ((np.full_like(colours, _INK[0]), 5), (colours, 3)):
        for start, stop in _runs(inks, has_curve):
            line = points[start : stop + 1] if len(channel) > 1 else points[[0, 0]]
            cv2.polylines(pixels, [line], False, inks[start].tolist(), thickness, cv2.LINE_AA, _FRACTION_BITS)


def _runs(colours: NDArray[np.uint8], has_curve: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where parts of one colour that follow each other, and have a curve, begin and end: one line each."""
    changes = (colours[1:] != colours[:-1]).any(1) | (has_curve[1:] != has_curve[:-1])
    ends = [0, *(np.flatnonzero(changes) + 1).tolist(), len(colours)]
    return [(start, stop) for start, stop in itertools.pairwise(ends) if has_curve[start]]


def _ticks(low: float, high: float, count: int) -> list[Tick]:
    """Return about ``count`` round numbers from ``low`` to ``high``, and how they are written."""
    if not high > low:
        return [(low, f"{low:g}")]
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(index * step, f"{index * step:.10g}") for index in range(first, last + 1)]
