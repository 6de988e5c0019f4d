"""Overlays of maps on video, frame by frame, and animated pictures."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.engine.arrays import resize_arrays, to_numpy
from pytorch_grad_cam.visualization.colormaps import DIVERGING, JET
from pytorch_grad_cam.visualization.overlay import overlay_map

_SAMPLED_PIXELS = 60_000  # these decide on the colours of an animation
_SHORTEST_FRAME = 2  # hundredths of a second: browsers show less than that as 10


def show_cam_on_video(
    frames: Any, maps: Any, *, signed: bool = False, colormap: int = JET, image_weight: float = 0.5
) -> NDArray[np.uint8]:
    """Blend each frame with its map.

    Args:
        frames: ``(T, H, W, 3)``, ``(T, H, W)``, a tensor ``(T, C, H, W)`` (a clip ``(C, T, H, W)`` is
            ``clip.movedim(0, 1)``), or ``T`` pictures of one size, of any kind that `show_cam_on_image` takes.
        maps: ``(t, h, w)`` in [0, 1]; in [-1, 1] if ``signed``. Another length or size is resized linearly. One scale
            for all frames: what is brighter is stronger, also from frame to frame.
        signed: blue speaks against, white says nothing, red speaks for.
        colormap: one of OpenCV's ``COLORMAP_...``; does not matter if ``signed``.
        image_weight: 1 gives the frames alone, 0 the maps alone.

    Returns:
        uint8 RGB ``(T, H, W, 3)``.

    Raises:
        ValueError: if a shape or a range is not as described.
    """
    images = [unit_picture(frame) for frame in frames]
    values = to_numpy(maps)
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"maps must have shape (t, h, w), not {values.shape}; give those of one video, e.g. maps[0]")
    sizes = {image.shape[:2] for image in images}
    if len(sizes) != 1:
        raise ValueError(f"the frames have the sizes {sorted(sizes)}; give at least one frame, and all of one size")
    ((height, width),) = sizes
    resized = resize_arrays(values.astype(np.float32)[None], (len(images), height, width))[0]
    colormap = DIVERGING if signed else colormap
    pairs = zip(images, resized, strict=True)
    return np.stack([overlay_map(image, frame_map, True, colormap, image_weight) for image, frame_map in pairs])


def save_gif(path: str | Path, frames: Any, fps: float = 8.0, loop: bool = True) -> None:
    """Write frames as an animated GIF; the file is there as a whole or not at all.

    All frames share one palette of 256 colours, so that what does not change does not flicker. Equal frames that follow
    each other are stored once, and shown as long as they would have been.

    Args:
        path: ends in .gif; a missing folder is made.
        frames: uint8 RGB ``(T, H, W, 3)``, as `show_cam_on_video` returns them.
        fps: frames per second; GIF counts in hundredths of a second, at most 50 per second.
        loop: start again at the end; else stop at the last frame.

    Raises:
        ValueError: for another ending, other frames, or a rate that is not positive.
        OSError: if the folder cannot be written to.
    """
    from PIL import Image

    array = to_numpy(frames)
    if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise ValueError(f"frames must be uint8 (T, H, W, 3), not {array.dtype} {array.shape}; see show_cam_on_video")
    if Path(path).suffix.lower() != ".gif":
        raise ValueError(f"{Path(path).name} does not end in .gif, which is what is written")
    if not fps > 0:
        raise ValueError(f"fps must be a positive number of frames per second, not {fps}")
    pixels = array.reshape(-1, 3)
    sample = np.ascontiguousarray(pixels[:: max(1, len(pixels) // _SAMPLED_PIXELS)])[None]
    palette = Image.fromarray(sample).quantize(256, Image.Quantize.MEDIANCUT)
    first, *rest = (Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in array)
    ends = [max(round(100 * (index + 1) / fps), _SHORTEST_FRAME * (index + 1)) for index in range(len(array))]
    times = np.diff([0, *ends]).tolist()  # hundredths of a second; rounding does not add up
    encoded = BytesIO()
    first.save(
        encoded,
        "GIF",
        save_all=True,
        append_images=rest,
        duration=[10 * time for time in times],
        optimize=False,
        **({"loop": 0} if loop else {}),
    )
    write_bytes(path, encoded.getvalue())
