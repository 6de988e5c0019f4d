"""Read all weights of a .nnp file: those in the network text and those in .h5 and .protobuf members.

A .h5 member has one dataset per parameter, whose path is the parameter's name. A .protobuf member is the one part of
nnabla's binary format that is stable between its versions: a message whose field 200 repeats, a parameter with 1 its
name, 20 its shape (1 the sizes), 100 its values. Every field starts with a key, ``number * 8 + wire type``; wire types
are 0 varint, 1 eight bytes, 2 a length and that many bytes, 5 four bytes. Source: Protocol Buffers, "Encoding",
protobuf.dev.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.models.nnp.limits import (
    FREE_FIELDS,
    FREE_WEIGHTS,
    MAX_AXES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_FIELDS,
    MAX_NAME,
    MAX_PARAMETERS,
    WEIGHTS_RATIO,
)
from pytorch_grad_cam.models.nnp.text import Message

_NUMBERS = "fiu"  # kinds of dtype
# deflate, shuffle, fletcher32, lzf: what h5py itself brings. Any other would make HDF5 look for a plug-in to load.
_FILTERS = {1, 2, 3, 32000}
_PARAMETER, _NAME, _SHAPE, _DATA = 200, 1, 20, 100
_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}  # bytes by wire type
_VARINT_BYTES = 10

Parameters = Mapping[str, NDArray[np.float32]]


def read_parameters(
    texts: Sequence[Message], members: Sequence[tuple[str, bytes]], path: str | Path, size: int | None = None
) -> Parameters:
    """Return the parameters by name: those of the network texts, then those of .h5 and .protobuf members.

    Args:
        texts: the network texts.
        members: name and bytes of each .h5 or .protobuf member.
        path: of the file, for messages.
        size: bytes of the file, in which the members may be packed; it bounds what they may claim.

    Raises:
        ImportError: if there is a .h5 member and h5py is missing.
        ValueError: if a member is damaged or too large.
    """
    parameters: dict[str, NDArray[np.float32]] = {}
    try:
        for text in texts:
            parameters |= _parameters_in(text)
    except ValueError as error:
        raise ValueError(f"the weights in the network text of {path} cannot be used: {error}") from error
    for name, data in members:
        read = read_h5 if name.lower().endswith(".h5") else read_protobuf
        try:
            parameters |= read(data, size)
        except ValueError as error:
            raise ValueError(f"the weights {name} in {path} cannot be used: {error}") from error
    if sum(array.size for array in parameters.values()) > MAX_ELEMENTS:
        raise ValueError(f"{path} holds more than {MAX_ELEMENTS} weights")
    return parameters


def _parameters_in(text: Message) -> dict[str, NDArray[np.float32]]:
    messages = text.messages("parameter")
    if len(messages) > MAX_PARAMETERS:
        raise ValueError(f"there are more than {MAX_PARAMETERS}")
    parameters = {}
    for parameter in messages:
        name = parameter.text("variable_name")
        values = np.array(parameter.numbers("data"), dtype=np.float64)
        with np.errstate(over="ignore"):
            parameters[name] = _shaped(values.astype(np.float32), parameter.shape("shape"), name)
    return parameters


def read_h5(data: bytes, size: int | None = None) -> dict[str, NDArray[np.float32]]:
    """Return the parameters of a .h5 file by name.

    Args:
        data: the file.
        size: bytes of the file that holds it, packed, if there is one.

    Links to other places or files, virtual datasets and data kept in other files are refused: an HDF5 file can name
    any file of the machine that reads it.

    Raises:
        ImportError: if h5py is missing.
        ValueError: if it is damaged, too large, or refers to other files.
    """
    h5py = need("h5py")
    parameters: dict[str, NDArray[np.float32]] = {}
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            _DatasetReader(h5py, parameters, len(data) if size is None else size).group(file, "", 0)
    except ValueError:
        raise
    except Exception as error:  # a damaged file makes HDF5 raise almost anything
        raise ValueError(f"it is not an HDF5 file, or is damaged ({error!s:.200})") from error
    return parameters


class _DatasetReader:
    """Reads the datasets below a group, and gives up beyond reason: groups may hold one another."""

    def __init__(self, h5py: Any, parameters: dict[str, NDArray[np.float32]], size: int) -> None:
        self._h5py, self._parameters = h5py, parameters
        self._objects, self._elements = 0, 0
        self._most = max(FREE_WEIGHTS, WEIGHTS_RATIO * size)
        self._bytes = 0

    def group(self, group: Any, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"its groups are nested deeper than {MAX_DEPTH}")
        for key in group:
            self._objects += 1
            if self._objects > MAX_PARAMETERS:
                raise ValueError(f"it has more than {MAX_PARAMETERS} groups and parameters")
            name = f"{prefix}{key}"
            if len(name) > MAX_NAME:
                raise ValueError(f"the name {name[:40]!r}... has more than {MAX_NAME} characters")
            if not isinstance(group.get(key, getlink=True), self._h5py.HardLink):
                raise ValueError(f"{name!r:.200} is a link to another place, which is not followed")
            item = group[key]
            if isinstance(item, self._h5py.Group):
                self.group(item, f"{name}/", depth + 1)
            elif isinstance(item, self._h5py.Dataset):
                self._parameters[name] = self._values(item, name)

    def _values(self, dataset: Any, name: str) -> NDArray[np.float32]:
        settings = dataset.id.get_create_plist()
        filters = {settings.get_filter(index)[0] for index in range(settings.get_nfilters())}
        if dataset.is_virtual or settings.get_external_count():
            raise ValueError(f"the values of {name!r:.200} lie in another file, which is not read")
        if not filters <= _FILTERS:
            raise ValueError(f"{name!r:.200} is packed by the filters {sorted(filters)}; save it with gzip or unpacked")
        if dataset.dtype.kind not in _NUMBERS or dataset.shape is None or len(dataset.shape) > MAX_AXES:
            raise ValueError(f"{name!r:.200} is no array of numbers, but {dataset.dtype} {dataset.shape}")
        self._elements += dataset.size
        if self._elements > MAX_ELEMENTS:
            raise ValueError(f"it holds more than {MAX_ELEMENTS} numbers")
        # Fill values, chunks that were never written and packed zeros cost no bytes in the file, but memory here; and a
        # chunk is unpacked as a whole, however small the array that it holds.
        self._bytes += (dataset.size + math.prod(dataset.chunks or ())) * (dataset.dtype.itemsize + 4)
        if self._bytes > self._most:
            raise ValueError(f"{name!r:.200} would grow beyond {self._most} bytes; save it without filters and holes")
        return np.asarray(dataset[()], dtype=np.float32)


def read_protobuf(data: bytes, size: int | None = None) -> dict[str, NDArray[np.float32]]:
    """Return the parameters of a .protobuf file by name.

    Args:
        data: the file.
        size: bytes of the file that holds it, packed, if there is one.

    Raises:
        ValueError: if it is cut off, is no such file, or consists of more pieces than any such file.
    """
    most = min(MAX_FIELDS, FREE_FIELDS + (len(data) if size is None else size))
    return _ProtobufReader(most).read(memoryview(data))


class _ProtobufReader:
    """Reads messages, and counts their fields: a small file may claim many."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def read(self, message: memoryview) -> dict[str, NDArray[np.float32]]:
        parameters: dict[str, NDArray[np.float32]] = {}
        for number, value in self._fields(message):
            if number == _PARAMETER:
                name, array = self._parameter(_bytes(value))
                parameters[name] = array
                if len(parameters) > MAX_PARAMETERS:
                    raise ValueError(f"it has more than {MAX_PARAMETERS} parameters")
        return parameters

    def _parameter(self, message: memoryview) -> tuple[str, NDArray[np.float32]]:
        name = ""
        shape: list[int] = []
        parts: list[memoryview] = []
        for number, value in self._fields(message):
            if number == _NAME:
                try:
                    name = str(_bytes(value), "utf-8")
                except UnicodeDecodeError as error:
                    raise ValueError("the name of a parameter is not UTF-8") from error
            elif number == _SHAPE:
                for inner, size in self._fields(_bytes(value)):
                    if inner == 1:
                        shape += [size] if isinstance(size, int) else self._sizes(size)
            elif number == _DATA:
                parts.append(_bytes(value))  # packed, or one value at a time
        values = b"".join(parts)
        if len(values) % 4:
            raise ValueError(f"the values of the parameter {name!r:.200} are cut off")
        return name, _shaped(np.frombuffer(values, dtype="<f4"), shape, name)

    def _fields(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Yield number and value of every field; a varint as int, everything else as bytes."""
        place, end = 0, len(message)
        while place < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it consists of more than {self._most} pieces")
            key, place = _varint(message, place)
            kind = key & 7
            if kind == _VARINT:
                value, place = _varint(message, place)
                yield key >> 3, value
                continue
            if kind == _LENGTH:
                size, place = _varint(message, place)
            elif kind in _FIXED:
                size = _FIXED[kind]
            else:
                raise ValueError(f"it has a field of wire type {kind}, which such files do not have")
            if size > end - place:
                raise ValueError("it ends in the middle of a field")
            yield key >> 3, message[place : place + size]
            place += size

    def _sizes(self, packed: memoryview) -> list[int]:
        sizes: list[int] = []
        place = 0
        while place < len(packed) and len(sizes) <= MAX_AXES:
            size, place = _varint(packed, place)
            sizes.append(size)
        return sizes


def _shaped(values: NDArray[np.float32], shape: list[int], name: str) -> NDArray[np.float32]:
    """Give a parameter its shape."""
    if len(shape) > MAX_AXES:
        raise ValueError(f"the parameter {name!r:.200} has more than {MAX_AXES} axes")
    if min(shape, default=1) < 1 or math.prod(shape) != values.size:
        told = " x ".join(map(str, shape)) or "()"
        raise ValueError(
            f"the parameter {name!r:.200} has {values.size} values, which its shape {told:.100} does not hold"
        )
    return values.reshape(shape).astype(np.float32, copy=False)


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number of up to 64 bits, 7 to a byte, lowest first, and the place behind it."""
    value = 0
    for count in range(_VARINT_BYTES):
        if place + count >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[place + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("it has a number of more than 64 bits")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it has a number where a message or text must stand")
    return value
