"""A map on a signal: each part of the curve in the colour of what it says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.arrays import to_numpy
from pytorch_grad_cam.visualization.colormaps import DIVERGING, JET, colours_of
from pytorch_grad_cam.visualization.grid import GAP, TEXT, colour_bar, text_width, write_text

_INK = (60, 60, 60)
_LINE = (225, 225, 225)
_INSIDE = 8  # pixels between a panel's border and its curve
_BITS = 4  # of a pixel's fraction, which OpenCV takes


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
    channels, values = _channels(signal), to_numpy(map)
    colormap = DIVERGING if signed else colormap
    low = -1 if signed else 0
    if values.ndim != 1 or not len(values):
        raise ValueError(f"map must have shape (t,), not {values.shape}; give one map, e.g. maps[0]")
    if np.nanmin(values, initial=low) < low - 1e-5 or np.nanmax(values, initial=1) > 1 + 1e-5:
        raise ValueError(f"map must be in the range [{low}, 1], not {np.nanmin(values):g}..{np.nanmax(values):g}")
    if names is not None and len(names) != len(channels):
        raise ValueError(f"{len(names)} names for a signal of {len(channels)} channels; give one for each")
    if rate is not None and not rate > 0:
        raise ValueError(f"rate must be a positive number of samples per second, not {rate}")
    if min(size) < 4 * _INSIDE:
        raise ValueError(f"size={size} leaves no room for a curve; give at least {4 * _INSIDE} pixels each way")
    resized = maps.resize(torch.from_numpy(values.astype(np.float32))[None], (channels.shape[1],))[0].numpy()
    colours = _segment_colours(np.clip(resized, low, 1), colormap)
    return _picture(channels, colours, names, rate, colormap, size)


def _channels(signal: Any) -> NDArray[np.float64]:
    """Return the signal as ``(C, T)``, NaN where it is not finite."""
    array = to_numpy(signal)
    given = array.shape
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"signal must have shape (T,) or (C, T), not {given}; give one signal, e.g. x[0]")
    return np.where(np.isfinite(array), array, np.nan).astype(np.float64)


def _segment_colours(values: NDArray[np.float32], colormap: int) -> NDArray[np.uint8]:
    """Return the colours of the ``T - 1`` parts of the curve (one, if there is one sample): the mean of both ends."""
    between = (values[:-1] + values[1:]) / 2 if len(values) > 1 else values
    colours = colours_of(between, colormap)
    colours[np.isnan(between)] = 160
    return colours


def _picture(
    channels: NDArray[np.float64],
    colours: NDArray[np.uint8],
    names: Sequence[str] | None,
    rate: float | None,
    colormap: int,
    size: tuple[int, int],
) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = size
    scales = [_scale(channel) for channel in channels]
    marks = [_ticks(*scale, count=3) for scale in scales]
    left = 2 * GAP + max((text_width(text) for each in marks for _, text in each), default=0)
    above = TEXT + GAP if names else 0
    step = height + above + 2 * GAP
    bar = colour_bar(max(height, 60), colormap)
    canvas = np.full(
        (GAP + len(channels) * step + 2 * TEXT + 2 * GAP, left + width + 2 * GAP + bar.shape[1] + GAP, 3), 255, np.uint8
    )
    last = (channels.shape[1] - 1) / (rate or 1)
    times = _ticks(0, last, count=8)
    for row, (channel, scale) in enumerate(zip(channels, scales, strict=True)):
        top = GAP + row * step + above
        panel = canvas[top : top + height, left : left + width]
        for time, _ in times:
            panel[:, _x(time, last, width)] = _LINE
        for value, _ in marks[row]:
            panel[_y(value, scale, height)] = _LINE
        panel[[0, -1]], panel[:, [0, -1]] = _INK, _INK
        _draw(panel, channel, scale, colours)
    canvas[GAP + above : GAP + above + len(bar), -bar.shape[1] - GAP : -GAP] = bar
    sheet = Image.fromarray(canvas)
    for row, scale in enumerate(scales):
        top = GAP + row * step + above
        for value, text in marks[row]:
            write_text(sheet, left - GAP - text_width(text), top + _y(value, scale, height) - TEXT // 2 - 2, text)
        if names is not None:
            write_text(sheet, left, top - above, names[row], width)
    below = GAP + len(channels) * step
    for time, text in times:
        write_text(sheet, left + _x(time, last, width) - text_width(text) // 2, below - GAP, text)
    unit = "sample" if rate is None else "seconds"
    write_text(sheet, left + (width - text_width(unit)) // 2, below + TEXT - GAP // 2, unit)
    return np.array(sheet)


def _draw(
    panel: NDArray[np.uint8], channel: NDArray[np.float64], scale: tuple[float, float], colours: NDArray[np.uint8]
) -> None:
    """Draw one curve into its panel: a dark rim first, so that pale colours are seen on white."""
    import cv2

    height, width = panel.shape[:2]
    last = max(len(channel) - 1, 1)
    across = _INSIDE + np.arange(len(channel)) / last * (width - 1 - 2 * _INSIDE)
    down = _INSIDE + (scale[1] - channel) / (scale[1] - scale[0]) * (height - 1 - 2 * _INSIDE)
    seen = np.isfinite(down)
    points = np.round(np.stack([across, np.where(seen, down, 0)], 1) * 2**_BITS).astype(np.int32)
    following = np.minimum(np.arange(len(colours)) + 1, len(channel) - 1)
    there = seen[: len(colours)] & seen[following]
    for inks, thickness in ((np.full_like(colours, _INK[0]), 5), (colours, 3)):
        for start, stop in _runs(inks, there):
            line = points[start : stop + 1] if len(channel) > 1 else points[[0, 0]]
            cv2.polylines(panel, [line], False, inks[start].tolist(), thickness, cv2.LINE_AA, _BITS)


def _runs(colours: NDArray[np.uint8], there: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where parts of one colour that follow each other, and are there, begin and end: one line each."""
    changes = (colours[1:] != colours[:-1]).any(1) | (there[1:] != there[:-1])
    ends = [0, *(np.flatnonzero(changes) + 1).tolist(), len(colours)]
    return [(start, stop) for start, stop in itertools.pairwise(ends) if there[start]]


def _scale(channel: NDArray[np.float64]) -> tuple[float, float]:
    """Return the values at the lower and upper end of a panel."""
    finite = channel[np.isfinite(channel)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    room = 0 if high > low else abs(low) / 2 or 1.0
    return low - room, high + room


def _ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Return about ``count`` round numbers from ``low`` to ``high``, and how they are written."""
    if not high > low:
        return [(low, f"{low:g}")]
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(index * step, f"{index * step:.10g}") for index in range(first, last + 1)]


def _x(time: float, last: float, width: int) -> int:
    return round(_INSIDE + (time / last if last else 0) * (width - 1 - 2 * _INSIDE))


def _y(value: float, scale: tuple[float, float], height: int) -> int:
    return round(_INSIDE + (scale[1] - value) / (scale[1] - scale[0]) * (height - 1 - 2 * _INSIDE))
