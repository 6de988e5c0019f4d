"""The command ``volume``."""

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
from pytorch_grad_cam.cli.explain.arrays.volume_options import VolumeOptions
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.data.volumes import Volume, read_volume, write_map
from pytorch_grad_cam.visualization.colormaps import colormap_number
from pytorch_grad_cam.visualization.volumes import show_cam_on_volume


def run(options: VolumeOptions) -> int:
    """Explain every volume, write a montage and the map for each, and say what was found.

    Returns:
        0; 1 if one failed, which is said.

    Raises:
        Exception: with a message for people where nothing at all can be done, or a single volume failed.
    """
    return explain_arrays(
        options,
        "volume",
        3,
        lambda path: read_volume(path, options.key, options.index),
        _described,
        partial(_write, options),
    )


def _write(
    options: VolumeOptions, stem: Path, volume: Volume, result: MapResult, map: NDArray[np.float32]
) -> list[Path]:
    """Write the montage, and the map: as NIfTI where it is known how the volume lies, else as an array."""
    montage = stem.with_name(f"{stem.name}_montage.png")
    write_image(montage, _montage(volume, result, map, options))
    if volume.affine is None:
        numbers = stem.with_name(f"{stem.name}_map.npy")
        write_bytes(numbers, array_bytes(map))
    else:
        numbers = stem.with_name(f"{stem.name}_map.nii.gz")
        write_map(numbers, map, volume.affine)
    return [montage, numbers]


def _montage(volume: Volume, result: MapResult, map: NDArray[np.float32], options: VolumeOptions) -> NDArray[np.uint8]:
    orientation = options.orientation or volume.orientation
    axis = options.axis
    if axis is None:
        axis = next((index for index, letter in enumerate(orientation or "") if letter in "IS"), 0)
    low, high = options.window or (None, None)
    return show_cam_on_volume(
        volume.values if volume.values.ndim == 3 else volume.values[0],
        map,
        axis=axis,
        slices=options.slices,
        choose="evidence" if options.choose == "evidence" else "evenly",
        spacing=options.spacing or volume.spacing,
        orientation=orientation,
        window=None if low is None or high is None else (low, high),
        signed=result.signed,
        colormap=colormap_number(options.colormap),
        image_weight=options.image_weight,
    )


def _described(volume: Volume) -> str:
    """Write size, values and place of a volume for people."""
    shape = " x ".join(map(str, volume.values.shape[-3:]))
    channels = f", {len(volume.values)} channels" if volume.values.ndim > 3 else ""
    text = f"{shape} voxels{channels}, {range_of(volume.values)}"
    if volume.affine is None:
        return text
    return f"{text}, axes {volume.orientation}, {' x '.join(f'{length:.3g}' for length in volume.spacing)} mm each"
