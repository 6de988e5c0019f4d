"""Read pictures from files, bytes or arrays as uint8 RGB, and write them to files that are whole or not there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.limits import MAX_PIXELS
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.data.reading import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")
_pil_limit = Lock()  # held while PIL's own limit, which is one for the whole process, is another
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
# What PIL decodes by itself: EPS runs Ghostscript, WMF asks Windows, others are stubs for plug-ins.
_READ = (
    *("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "TGA", "JPEG2000", "PCX", "SGI", "QOI", "PSD"),
    "AVIF",
)
_PIECE = 1 << 22  # pixels that are converted at once
_ORIENTATION = 0x0112  # in EXIF


def read_image(
    source: str | Path | bytes | NDArray[Any] | Image, *, max_pixels: int = MAX_PIXELS, page: int = 1
) -> NDArray[np.uint8]:
    """Read a picture, whatever its kind, as uint8 RGB ``(H, W, 3)``.

    A file's EXIF orientation is applied; gray is repeated over the channels; transparent pixels are laid on white;
    16 bits are reduced to 8; CMYK, palettes and the like are converted.

    Args:
        source: a path, the bytes of a file, a PIL image, or an array ``(H, W)`` or ``(H, W, 1 | 3 | 4)``: bool, uint8,
            uint16, other integers in 0..255, or floats in [0, 1].
        max_pixels: that a file may have: a few bytes of it may stand for gigabytes; it counts in the place of PIL's own
            limit. PIL images and arrays, which are there already, may have any number.
        page: which page of a file of several, or frame of an animation, from 1.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: if there is no such file to read.
        TypeError: if it is something else altogether.
        ValueError: if it is not a picture, is damaged or too large, or the array has another form or range.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, (str, Path, bytes)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata; what makes pixels unreadable is raised
            if isinstance(source, bytes):
                return decode_image(source, "the given data", max_pixels, page)
            return _read_file(source, lambda file: _decode(file, str(Path(source)), max_pixels, page))
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


def encoded_image(path: str | Path, image: NDArray[np.uint8], comment: str = "") -> bytes:
    """Return what `write_image` writes, with the same arguments; the file can carry a comment, which nobody sees."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path.name} does not say which format to write; end it in {', '.join(FORMATS)}")
    encoded = BytesIO()
    # Full colour resolution: a heat map's colours are its message.
    is_jpeg = FORMATS[path.suffix.lower()] == "JPEG"
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if is_jpeg else {}
    if comment and is_jpeg:
        options["comment"] = comment.encode()
    elif comment:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("comment", comment)
    Image.fromarray(image).save(encoded, FORMATS[path.suffix.lower()], **options)
    return encoded.getvalue()


def image_comment(path: str | Path) -> str | None:
    """Return the comment that a file of `encoded_image` carries; None if it has none, or is no such picture."""
    from PIL import Image

    if Path(path).suffix.lower() not in FORMATS:
        return None
    try:
        with Image.open(path, formats=tuple(FORMATS.values())) as image:
            comment = image.info.get("comment")
    except Exception:  # of somebody else's file, which may be anything
        return None
    return comment.decode(errors="replace") if isinstance(comment, bytes) else comment


def count_pages(path: str | Path) -> int:
    """Return the number of pages of a picture's file, or frames of an animation; 1 for a file with a single picture.

    Raises:
        OSError, ValueError: as `read_image`.
    """

    def count(file: IO[bytes]) -> int:
        with warnings.catch_warnings(), _opened(file, str(path), None) as image:
            warnings.simplefilter("ignore")
            return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))  # a phone's photo and its preview

    return _read_file(path, count)


def decode_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS, page: int = 1) -> NDArray[np.uint8]:
    """Decode the bytes of a picture's file as `read_image` does, but let through what PIL warns of.

    Threads may do it at once: warnings are filtered for the whole process, so only one of them could.

    Args:
        name: what errors call it.
    """
    return _decode(BytesIO(data), name, max_pixels, page)


def _read_file(path: str | Path, read: Callable[[IO[bytes]], T]) -> T:
    with open_regular(path, "a picture") as file:
        return read(file)


def _decode(file: IO[bytes], name: str, max_pixels: int, page: int) -> NDArray[np.uint8]:
    with _opened(file, name, max_pixels) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ValueError(too_large(f"{name} has {width} x {height} pixels", max_pixels))
        try:
            if page != 1:
                _turn_to(image, name, page)
            image.load()
            pixels = _converted(image)
            orientation = image.getexif().get(_ORIENTATION)
        except _PageError:
            raise
        except Exception as error:  # a damaged file makes decoders raise almost anything
            raise _unreadable(name, error) from error
    return _upright(pixels, orientation)


def _opened(file: IO[bytes], name: str, max_pixels: int | None) -> Image:
    """Open a picture, of which nothing is decoded yet; None asks for no more than its head."""
    from PIL import Image, UnidentifiedImageError

    if not file.read(1):
        raise ValueError(f"{name} is empty; give a picture, e.g. a JPEG or PNG file")
    file.seek(0)
    limit = Image.MAX_IMAGE_PIXELS
    raised = limit is not None and (max_pixels is None or max_pixels > limit)
    try:
        with _pil_limit if raised else nullcontext():
            try:
                if raised:
                    Image.MAX_IMAGE_PIXELS = None  # ours is asked as soon as the size is known
                return Image.open(file, formats=_formats())
            finally:
                if raised:
                    Image.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is not a picture in a known format; give e.g. a JPEG or PNG file") from error
    except Image.DecompressionBombError as error:
        count = next((part for part in str(error).replace("(", " ").split() if part.isdecimal()), "too many")
        raise ValueError(too_large(f"{name} has {count} pixels", max_pixels or MAX_PIXELS)) from error
    except Exception as error:  # a damaged file makes decoders raise almost anything
        raise _unreadable(name, error) from error


class _PageError(ValueError):
    """A page that a file does not have."""


def _turn_to(image: Image, name: str, page: int) -> None:
    pages = int(getattr(image, "n_frames", 1))
    if not 1 <= page <= pages:
        what = "has one page only" if pages == 1 else f"has the pages 1 to {pages}"
        raise _PageError(f"{name} {what}; there is no page {page}")
    image.seek(page - 1)


def too_large(what: str, max_pixels: int) -> str:
    """Return the sentence on a picture with more pixels than are read; ``what`` says which one and how many."""
    return (
        f"{what}, more than the {max_pixels} that are read; make it smaller, or allow more with --max-pixels "
        "(max_pixels=...)"
    )


def _formats() -> list[str]:
    """Return the formats that this version of PIL can read, of those that it decodes by itself."""
    return [name for name in _READ if name != "AVIF" or find_spec("PIL.AvifImagePlugin")]


def _unreadable(name: str, error: Exception) -> ValueError:
    return ValueError(f"{name} cannot be read as a picture: {error}; the file may be damaged")


def _from_pil(image: Image) -> NDArray[np.uint8]:
    return _upright(_converted(image), image.getexif().get(_ORIENTATION))


def _converted(image: Image) -> NDArray[np.uint8]:
    """Convert a picture as it lies in the file, in pieces: there may be no memory for it in several forms."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for rows in _pieces(height, width):
        piece = image if rows == slice(0, height) else image.crop((0, rows.start, width, rows.stop))
        pixels[rows] = _from_array(_values(piece))
    return pixels


def _values(image: Image) -> NDArray[Any]:
    if image.mode == "F":
        return np.asarray(image)
    if image.mode.startswith("I"):  # 16 bits per pixel, which some formats deliver in 32
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"its values {values.min()}..{values.max()} need more than 16 bits; convert it first")
        return values.astype(np.uint16)
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _upright(pixels: NDArray[np.uint8], orientation: object) -> NDArray[np.uint8]:
    """Turn a picture as its EXIF orientation, 1 to 8, says."""
    turned = {
        2: lambda: pixels[:, ::-1],
        3: lambda: pixels[::-1, ::-1],
        4: lambda: pixels[::-1],
        5: lambda: pixels.swapaxes(0, 1),
        6: lambda: np.rot90(pixels, -1),
        7: lambda: pixels[::-1, ::-1].swapaxes(0, 1),
        8: lambda: np.rot90(pixels),
    }.get(orientation if isinstance(orientation, int) else 1)
    return pixels if turned is None else np.ascontiguousarray(turned())


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert an array, in pieces: what is made on the way takes up to five times the size of the result."""
    shape = array.shape
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in shape:
        hint = "; channels come last, transpose it" if array.ndim == 3 and shape[0] in (1, 3, 4) else ""
        raise ValueError(f"a picture must have shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not {shape}{hint}")
    _check_values(array)
    result = np.empty((*array.shape[:2], 3), np.uint8)  # a copy: PIL's arrays cannot be written to
    for rows in _pieces(*array.shape[:2]):
        pixels = _as_uint8(array[rows])
        if pixels.shape[2] == 4:
            alpha = pixels[:, :, 3:].astype(np.uint16)  # c a + 255 (255 - a) fits into 16 bits
            pixels = (pixels[:, :, :3] * alpha + (255 * (255 - alpha) + 127)) // 255  # rounded
        result[rows] = pixels  # one channel becomes three
    return result


def _pieces(height: int, width: int) -> Iterator[slice]:
    """Cut a picture into the rows that are converted at once."""
    rows = max(1, _PIECE // width)
    return (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def _check_values(array: NDArray[Any]) -> None:
    if array.dtype in (np.uint8, bool, np.uint16):
        return
    if array.dtype.kind not in "iuf" or not (array.min() >= 0 and array.max() <= _highest(array)):
        span = f"{array.min():g}..{array.max():g}" if array.dtype.kind in "iuf" else "something else"
        raise ValueError(
            f"a picture's values must be integers in 0..255 or floats in 0..1, not {array.dtype} {span}; scale it first"
        )


def _highest(array: NDArray[Any]) -> int:
    return 255 if np.issubdtype(array.dtype, np.integer) else 1


def _as_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return np.round(array / 257).astype(np.uint8)
    return np.round(array * (255 // _highest(array))).astype(np.uint8)
