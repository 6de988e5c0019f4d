"""Read arrays of numbers from .npy and .npz files."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENDINGS = (".npy", ".npz")
_MAGIC = b"\x93NUMPY"
MAX_BYTES = 4 << 30  # of one array; a small compressed file may claim any size


def read_array(path: str | Path, key: str | None = None, index: int | None = None) -> NDArray[np.float32]:
    """Read an array of numbers; nothing is unpickled.

    Args:
        path: a .npy file, or a .npz file.
        key: the name of the array, where a .npz file has several.
        index: of the entry along the first axis, where the array holds several; None takes all of it.

    Returns:
        float32, of the array's shape, without the first axis if an entry was chosen.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such file, holds other things than numbers, is too large, or has several arrays.
        IndexError: for an entry that is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path")
    try:
        array = _loaded(path, key)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        reason = str(error)
        if "Python objects" in reason or "allow_pickle" in reason:
            reason = "it holds Python objects, which are not read; save numbers"
        raise ValueError(f"{path} cannot be read: {reason}") from error
    return as_numbers(array, str(path), index)


def as_numbers(array: NDArray[Any], what: str, index: int | None = None) -> NDArray[np.float32]:
    """Return an array, or one entry of it, as float32; see `read_array`."""
    if array.dtype.kind not in "buif" or array.size == 0:
        raise ValueError(f"{what} holds {array.dtype} {array.shape}, not real numbers")
    if index is not None:
        if array.ndim < 2 or not -len(array) <= index < len(array):
            raise IndexError(f"--index {index}: {what} has the shape {array.shape}; there is no such entry")
        array = array[index]
    return np.array(array, dtype=np.float32, order="C")  # a copy: a file that is mapped cannot be written to


def check_bytes(shape: tuple[int, ...], itemsize: int) -> None:
    """Refuse an array that would be too large, before it is read."""
    if math.prod(shape) * itemsize > MAX_BYTES:
        raise ValueError(f"an array {shape} would be larger than {MAX_BYTES >> 30} GiB; cut it first")


def _loaded(path: Path, key: str | None) -> NDArray[Any]:
    if not zipfile.is_zipfile(path):
        if key is not None:
            raise ValueError(f"it is one array without a name; leave out --key {key}")
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("it is no .npy or .npz file")
        mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        check_bytes(mapped.shape, mapped.itemsize)
        return mapped
    with zipfile.ZipFile(path) as archive:
        names = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if key is None and len(names) != 1:
        raise ValueError(f"it holds several arrays; name one with --key: {', '.join(names)}")
    name = next(iter(names)) if key is None else key
    if name not in names:
        raise ValueError(f"it has no array {name!r}; it has {', '.join(names)}")
    check_bytes((names[name].file_size,), 1)
    with np.load(path, allow_pickle=False) as arrays:
        return np.asarray(arrays[name])
