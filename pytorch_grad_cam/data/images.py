"""Read pictures from files, bytes or arrays as uint8 RGB, and write them to files that are whole or not there."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.files import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def read_image(source: str | Path | bytes | NDArray[Any] | Image) -> NDArray[np.uint8]:
    """Read a picture, whatever its kind, as uint8 RGB ``(H, W, 3)``.

    A file's EXIF orientation is applied; gray is repeated over the channels; transparent pixels are laid on white;
    16 bits are reduced to 8; CMYK, palettes and the like are converted; of an animation the first frame is taken.

    Args:
        source: a path, the bytes of a file, a PIL image, or an array ``(H, W)`` or ``(H, W, 1 | 3 | 4)``: bool, uint8,
            uint16, other integers in 0..255, or floats in [0, 1].

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: if there is no such file to read.
        TypeError: if it is something else altogether.
        ValueError: if it is not a picture, is damaged, or the array has another form or range.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, (str, Path)):
        return _decode(_file_bytes(Path(source)), str(source))
    if isinstance(source, bytes):
        return _decode(source, "the given data")
    if hasattr(source, "getexif"):
        return _from_pil(source)
    raise TypeError(f"a picture must be a path, bytes, a PIL image or an array, not {type(source).__name__}")


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write a picture so that the file is there as a whole or not at all.

    Args:
        path: ends in .jpg, .jpeg or .png; a missing folder is made.
        image: uint8 RGB ``(H, W, 3)``.

    Raises:
        ValueError: if the ending is another one.
        OSError: if the folder cannot be written to.
    """
    write_bytes(path, encoded_image(path, image))


def encoded_image(path: str | Path, image: NDArray[np.uint8]) -> bytes:
    """Return what `write_image` writes, with the same arguments."""
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path.name} does not say which format to write; end it in {', '.join(FORMATS)}")
    encoded = BytesIO()
    # Full colour resolution: a heat map's colours are its message.
    options = {"quality": 95, "subsampling": 0} if FORMATS[path.suffix.lower()] == "JPEG" else {}
    Image.fromarray(image).save(encoded, FORMATS[path.suffix.lower()], **options)
    return encoded.getvalue()


def _file_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}; check the path") from error
    except IsADirectoryError as error:
        raise IsADirectoryError(f"{path} is a folder; give a picture in it") from error
    except OSError as error:
        raise type(error)(f"cannot read {path}: {_lower_reason(error)}") from error


def _decode(data: bytes, name: str) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise ValueError(f"{name} is empty; give a picture, e.g. a JPEG or PNG file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata; what makes pixels unreadable is raised
            with Image.open(BytesIO(data)) as image:
                image.load()
                return _from_pil(image)
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is not a picture in a known format; give e.g. a JPEG or PNG file") from error
    except Exception as error:  # a damaged file makes decoders raise almost anything
        raise ValueError(f"{name} cannot be read as a picture: {error}; the file may be damaged") from error


def _from_pil(image: Image) -> NDArray[np.uint8]:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        return _from_array(np.asarray(image))
    if image.mode.startswith("I"):  # 16 bits per pixel, which some formats deliver in 32
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"its values {values.min()}..{values.max()} need more than 16 bits; convert it first")
        return _from_array(values.astype(np.uint16))
    return _from_array(np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB")))


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    shape = array.shape
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in shape:
        hint = "; channels come last, transpose it" if array.ndim == 3 and shape[0] in (1, 3, 4) else ""
        raise ValueError(f"a picture must have shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not {shape}{hint}")
    pixels = _as_uint8(array)
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3:].astype(np.float32) / 255
        pixels = np.round(pixels[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.array(pixels, order="C")  # always a copy: PIL's arrays cannot be written to


def _as_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return np.round(array / 257).astype(np.uint8)
    highest = 255 if np.issubdtype(array.dtype, np.integer) else 1
    if array.dtype.kind not in "iuf" or not (array.min() >= 0 and array.max() <= highest):
        span = f"{array.min():g}..{array.max():g}" if array.dtype.kind in "iuf" else "something else"
        raise ValueError(
            f"a picture's values must be integers in 0..255 or floats in 0..1, not {array.dtype} {span}; scale it first"
        )
    return np.round(array * (255 // highest)).astype(np.uint8)


def _lower_reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
