"""Read the weights in a .protobuf file, the one part of nnabla's binary format that is stable between its versions.

A file is a message whose field 200 repeats: a parameter with 1 its name, 20 its shape (1 the sizes), 100 its values.
Every field starts with a key, ``number * 8 + wire type``; wire types are 0 varint, 1 eight bytes, 2 a length and that
many bytes, 5 four bytes. Source: Protocol Buffers, "Encoding", protobuf.dev.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.models.nnp.limits import MAX_AXES, MAX_PARAMETERS

_PARAMETER, _NAME, _SHAPE, _DATA = 200, 1, 20, 100
_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}  # bytes by wire type
_VARINT_BYTES = 10
_MAX_FIELDS = 2_000_000  # fields; a parameter has five, unless its values are not packed


def read_protobuf(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the parameters of a .protobuf file by name.

    Raises:
        ValueError: if it is cut off, is no such file, or consists of more pieces than any such file.
    """
    return _ProtobufReader().read(memoryview(data))


class _ProtobufReader:
    """Reads messages, and counts their fields: a small file may claim many."""

    def __init__(self) -> None:
        self._left = _MAX_FIELDS

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
        return name, shaped(np.frombuffer(values, dtype="<f4"), shape, name)

    def _fields(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Yield number and value of every field; a varint as int, everything else as bytes."""
        place, end = 0, len(message)
        while place < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it consists of more than {_MAX_FIELDS} pieces")
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


def shaped(values: NDArray[np.float32], shape: list[int], name: str) -> NDArray[np.float32]:
    """Give a parameter its shape.

    Raises:
        ValueError: if the number of values is another one.
    """
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
