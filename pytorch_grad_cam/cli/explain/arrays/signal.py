"""The command ``signal``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.cli.explain.arrays.common import (
    array_bytes,
    explain_arrays,
    range_of,
)
from pytorch_grad_cam.cli.explain.arrays.signal_options import SignalOptions
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.data.signals import Signal, read_signal
from pytorch_grad_cam.visualization.colormaps import colormap_number
from pytorch_grad_cam.visualization.signals import show_cam_on_signal


def run(options: SignalOptions) -> int:
    """Explain every signal, write its curves and the map, and say what was found.

    Returns:
        0; 1 if one failed, which is said.

    Raises:
        Exception: with a message for people where nothing at all can be done, or a single signal failed.
    """
    return explain_arrays(
        options,
        "signal",
        1,
        lambda path: read_signal(path, options.key, options.index),
        _described,
        partial(_write, options),
    )


def _write(
    options: SignalOptions, stem: Path, signal: Signal, result: MapResult, map: NDArray[np.float32]
) -> list[Path]:
    """Write the coloured curves, and the map as an array."""
    curves, numbers = stem.with_name(f"{stem.name}_curves.png"), stem.with_name(f"{stem.name}_map.npy")
    drawn = show_cam_on_signal(
        signal.values,
        map,
        names=options.names or signal.names,
        rate=options.rate or signal.rate,
        signed=result.signed,
        colormap=colormap_number(options.colormap),
    )
    write_image(curves, drawn)
    write_bytes(numbers, array_bytes(map))
    return [curves, numbers]


def _described(signal: Signal) -> str:
    """Write size and values of a signal for people."""
    channels, samples = signal.values.shape
    many = f"{channels} channels of " if channels > 1 else ""
    rate = "" if signal.rate is None else f", {signal.rate:g} per second"
    return f"{many}{samples} samples{rate}, {range_of(signal.values)}"
