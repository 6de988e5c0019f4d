"""Read and write video: animated pictures by Pillow, all else by OpenCV."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.files import write_by

ANIMATED = (".gif", ".webp", ".png", ".apng")
FILMED = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
USUAL_RATE = 8.0  # frames per second, where nothing says it
_CODES = {".mp4": "mp4v", ".avi": "MJPG"}


@dataclass(frozen=True)
class Video:
    """Frames and their speed.

    Attributes:
        frames: uint8 RGB ``(T, H, W, 3)``.
        rate: frames per second.
        left_out: how many further frames the file has that were not read, as far as it says so.
    """

    frames: NDArray[np.uint8]
    rate: float
    left_out: int = 0


def read_video(path: str | Path, max_frames: int, max_pixels: int) -> Video:
    """Read a video from its beginning.

    Args:
        path: .gif, .webp, .png or .apng; or .mp4, .avi, .mov, .mkv, .webm or what else OpenCV reads.
        max_frames: what follows is left out.
        max_pixels: of a frame.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or a frame has more pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path")
    ending = path.suffix.lower()
    if ending not in ANIMATED + FILMED:
        known = " ".join(ANIMATED + FILMED)
        raise ValueError(f"{path} is no video that can be read; known endings are {known}")
    return (_animated if ending in ANIMATED else _filmed)(path, max_frames, max_pixels)


def save_video(path: str | Path, frames: NDArray[np.uint8], rate: float) -> None:
    """Write frames as a video; the file is there as a whole or not at all.

    Args:
        path: ends in .mp4 (MPEG-4, which players show and most browsers do not) or .avi.
        frames: uint8 RGB ``(T, H, W, 3)``; a side that is odd is made even by repeating its last line.
        rate: frames per second, positive.

    Raises:
        ValueError: for another ending, other frames, or a rate that is not positive.
        OSError: if OpenCV cannot write such a video here, or the folder cannot be written to.
    """
    ending = Path(path).suffix.lower()
    if ending not in _CODES:
        raise ValueError(f"{Path(path).name} does not end in {' or '.join(_CODES)}, which is what is written")
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    if not rate > 0:
        raise ValueError(f"the rate must be a positive number of frames per second, not {rate}")
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")

    def encode(part: str) -> None:
        import cv2

        code = cv2.VideoWriter.fourcc(*_CODES[ending])
        writer = cv2.VideoWriter(part, code, rate, (even.shape[2], even.shape[1]))
        if not writer.isOpened():
            raise OSError(f"OpenCV cannot write {ending} here; write a .gif instead")
        for frame in even:
            writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
        writer.release()

    write_by(path, encode)


def _animated(path: Path, max_frames: int, max_pixels: int) -> Video:
    from PIL import Image, UnidentifiedImageError

    frames: list[NDArray[np.uint8]] = []
    times: list[float] = []
    try:
        with Image.open(path) as picture:
            _check_pixels(path, picture.width, picture.height, max_pixels)
            count = getattr(picture, "n_frames", 1)
            for number in range(min(count, max_frames)):
                picture.seek(number)
                frames.append(np.array(picture.convert("RGB")))
                times.append(float(picture.info.get("duration", 0) or 0))
    except (UnidentifiedImageError, OSError, EOFError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    mean = sum(times) / len(times)  # milliseconds
    return Video(np.stack(frames), 1000 / mean if mean > 0 else USUAL_RATE, count - len(frames))


def _filmed(path: Path, max_frames: int, max_pixels: int) -> Video:
    import cv2

    capture: Any = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise ValueError(f"{path} cannot be read as a video: OpenCV does not open it")
        width, height = (int(capture.get(each)) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        _check_pixels(path, width, height, max_pixels)
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        frames: list[NDArray[np.uint8]] = []
        while len(frames) < max_frames:
            there, frame = capture.read()
            if not there:
                break
            frames.append(np.ascontiguousarray(frame[:, :, ::-1]))
    finally:
        capture.release()
    if not frames:
        raise ValueError(f"{path} cannot be read as a video: it has no frame")
    usable = rate if math.isfinite(rate) and rate > 0 else USUAL_RATE
    left_out = max(0, int(count) - len(frames)) if math.isfinite(count) and len(frames) == max_frames else 0
    return Video(np.stack(frames), float(usable), left_out)


def _check_pixels(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ValueError(f"{path} has frames of {width} x {height} pixels; --max-pixels allows more than {max_pixels}")
