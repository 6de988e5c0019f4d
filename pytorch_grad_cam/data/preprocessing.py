"""Turn a picture into a network's input, and put a map back onto the pixels of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of values in [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
MAX_PIXELS = 50_000_000  # of the resized picture; a strip of 1 x 5000 pixels would otherwise fill the memory


@dataclass(frozen=True)
class Preprocessing:
    """Turns a picture into a network's input: resizes it, crops its centre, scales it to [0, 1] and normalises it.

    A picture ``(H, W, 3)`` uint8 becomes ``(C, h, w)`` float32, as torchvision's ``weights.transforms()`` makes it of a
    PIL image, to the bit; the geometry can be undone. (For a tensor, torchvision rounds differently while resizing;
    that alone can move a probability by some per cent.)

    Attributes:
        resize: length of the shorter side, an exact (height, width), or None to keep the size.
        crop: side of the centred square that is cut out, a (height, width), or None to keep everything. Where the
            picture is smaller, black is added around it.
        mean: per channel, of values in [0, 1]. One number: the network takes gray pictures.
        std: per channel, positive.
        interpolation: "bilinear" or "bicubic", both smoothing when they shrink, or "nearest".
        pad: letterbox: colour of the bars, per channel and in [0, 1], that are put around the whole picture, its shape
            kept, to fill an exact ``resize``; `padded` sets it. None: no bars, an exact ``resize`` changes the shape.
    """

    resize: int | tuple[int, int] | None = 256
    crop: int | tuple[int, int] | None = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"
    pad: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise ValueError(
                f"mean has {len(self.mean)} numbers and std {len(self.std)}; give three of each for RGB, one for gray"
            )
        if not all(math.isfinite(number) for number in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise ValueError(f"mean {self.mean} and std {self.std} must be finite, std also positive")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation {self.interpolation!r} is unknown; give one of {', '.join(INTERPOLATIONS)}"
            )
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            if size is not None and min(_pair(size)) < 1:
                raise ValueError(f"{name}={size} must be at least 1 pixel")
        if self.pad is not None:
            self._refuse_impossible_bars(self.pad)

    @classmethod
    def from_torchvision(cls, transforms: Any) -> Preprocessing:
        """Read the settings of the ``weights.transforms()`` of a torchvision network.

        Raises:
            TypeError: if it is not a preset for single pictures (classification, segmentation or detection).
        """
        kind = type(transforms).__name__
        if kind == "ObjectDetection":
            return cls(resize=None, crop=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        if kind not in ("ImageClassification", "SemanticSegmentation"):
            raise TypeError(
                f"{kind} is not a torchvision preset for single pictures; give Preprocessing(resize=..., crop=..., ...)"
            )
        return cls(
            resize=_size_from(transforms.resize_size),
            crop=_size_from(getattr(transforms, "crop_size", None)),
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            interpolation=transforms.interpolation.value,
        )

    def sized(self, side: int) -> Preprocessing:
        """Return the same for a network that sees a square of ``side`` pixels; the share cut off stays as it is."""
        if self.pad is not None:
            return replace(self, resize=(side, side))
        if isinstance(self.resize, int) and isinstance(self.crop, int):
            return replace(self, resize=max(side, round(side * self.resize / self.crop)), crop=side)
        return replace(self, resize=side, crop=side)

    def squashed(self) -> Preprocessing:
        """Return the same without a crop: the whole picture is squashed to the size that the network sees."""
        size = self.crop or self.resize
        return self if size is None else replace(self, resize=_pair(size), crop=None, pad=None)

    def padded(self, colour: float | Sequence[float] | None = None) -> Preprocessing:
        """Return the same with a letterbox: the whole picture, its shape kept, between bars that fill what is left.

        Args:
            colour: of the bars, in [0, 1]: one number for gray (``114 / 255`` is what YOLO networks were trained
                with), or one per channel; None: ``mean``, which becomes 0 in the network's input.

        Returns:
            A preprocessing whose size is that which the network sees now; one without a size is returned as it is.

        Raises:
            ValueError: for a colour that cannot be.
        """
        size = self.crop or self.resize
        if size is None:
            return self
        given = self.mean if colour is None else (colour,) if isinstance(colour, (int, float)) else tuple(colour)
        return replace(self, resize=_pair(size), crop=None, pad=given * len(self.mean) if len(given) == 1 else given)

    def __call__(self, image: NDArray[np.uint8]) -> Tensor:
        """Turn one picture into the network's input.

        Args:
            image: uint8 RGB ``(H, W, 3)``.

        Returns:
            float32 ``(C, h, w)``, C = 3 or, with one mean, 1.

        Raises:
            ValueError: if the picture has another shape or dtype, or would become too large.
        """
        from PIL import Image

        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"a picture must be uint8 RGB of shape (H, W, 3), not {image.dtype} {image.shape}; "
                "data.images.read_image makes one of files and arrays"
            )
        size = self._resized(image.shape[0], image.shape[1])
        if math.prod(size) > MAX_PIXELS:
            raise ValueError(
                f"a picture of {image.shape[1]} x {image.shape[0]} pixels would become {size[1]} x {size[0]} with its "
                "shorter side resized; cut it, squash it (--squash, Preprocessing.squashed()), or show it between bars "
                "(Preprocessing.padded())"
            )
        picture = Image.fromarray(image)
        if len(self.mean) == 1:
            picture = picture.convert("L")
        if size != image.shape[:2]:
            picture = picture.resize(size[::-1], Image.Resampling[self.interpolation.upper()])
        pixels = torch.from_numpy(np.array(picture)).reshape(*size, -1).permute(2, 0, 1)  # (C, h, w), bytes
        mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (self.mean, self.std))
        if self.pad is None:  # cut while they are bytes: what is cut off can be large
            seen = self._in_window(pixels, torch.zeros_like(pixels[:, 0, 0])).float() / 255
        else:
            seen = self._in_window(pixels.float() / 255, torch.tensor(self.pad))
        return (seen - mean) / std

    def to_picture(self, map: ArrayLike, size: tuple[int, int]) -> NDArray[np.float32]:
        """Put a map back onto the picture, pixel by pixel: undo crop, letterbox and resize.

        Args:
            map: ``(h, w)``, of any resolution; it covers what the network saw.
            size: height and width of the picture.

        Returns:
            float32 ``(H, W)``: linearly interpolated, and NaN where the network never saw the picture.
        """
        cells = np.asarray(map, dtype=np.float32)
        if cells.ndim != 2:
            raise ValueError(f"a map must have shape (h, w), not {cells.shape}; give one map, e.g. maps[0]")
        resized = self._resized(*size)
        window = self._window(resized)
        unseen = []
        for axis in (0, 1):
            centres = (np.arange(size[axis]) + 0.5) * resized[axis] / size[axis]  # in resized pixels
            centres -= _window_start(resized[axis], window[axis])
            unseen.append((centres < 0) | (centres > window[axis]))
            count = cells.shape[axis]
            place = np.clip(centres * count / window[axis] - 0.5, 0, count - 1)  # in cells of the map
            low = np.floor(place).astype(int)
            share = (place - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
            high = np.minimum(low + 1, count - 1)
            cells = (1 - share) * cells.take(low, axis) + share * cells.take(high, axis)
        cells[unseen[0]] = np.nan
        cells[:, unseen[1]] = np.nan
        return cells

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            if self.pad is None:
                return self.resize
            share = min(self.resize[0] / height, self.resize[1] / width)
            return max(round(height * share), 1), max(round(width * share), 1)
        longer = int(self.resize * max(height, width) / min(height, width))
        return (self.resize, longer) if height <= width else (longer, self.resize)

    def _refuse_impossible_bars(self, pad: tuple[float, ...]) -> None:
        if self.crop is not None or not isinstance(self.resize, tuple):
            raise ValueError(
                f"pad={pad} puts bars around the whole picture to fill an exact size: give resize=(height, width) and "
                f"crop=None, not resize={self.resize} and crop={self.crop}"
            )
        if len(pad) != len(self.mean) or not all(0 <= number <= 1 for number in pad):
            raise ValueError(
                f"pad={pad} is no colour of {len(self.mean)} numbers in [0, 1], as mean; of bytes, give value / 255"
            )

    def _window(self, resized: tuple[int, int]) -> tuple[int, int]:
        """Return the size that the network sees, whose centre is the resized picture's."""
        if self.pad is not None and self.resize is not None:
            return _pair(self.resize)
        return resized if self.crop is None else _pair(self.crop)

    def _in_window(self, pixels: Tensor, around: Tensor) -> Tensor:
        """Cut out of a resized picture ``(C, h, w)`` what the network sees; ``around`` (C) is the colour beside it."""
        window = self._window((pixels.shape[1], pixels.shape[2]))
        if window == pixels.shape[1:]:
            return pixels
        result = around[:, None, None].repeat(1, *window)
        top, left = (_window_start(length, seen) for length, seen in zip(pixels.shape[1:], window, strict=True))
        part = pixels[:, max(top, 0) : max(top, 0) + window[0], max(left, 0) : max(left, 0) + window[1]]
        above, beside = max(-top, 0), max(-left, 0)
        result[:, above : above + part.shape[1], beside : beside + part.shape[2]] = part
        return result


def _window_start(length: int, window: int) -> int:
    """Return where a centred window begins on an axis, rounded as torchvision does; negative where it is longer."""
    return round((length - window) / 2) if length >= window else -((window - length) // 2)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _size_from(size: Sequence[int] | None) -> int | tuple[int, int] | None:
    if size is None:
        return None
    return int(size[0]) if len(size) == 1 else (int(size[0]), int(size[1]))
