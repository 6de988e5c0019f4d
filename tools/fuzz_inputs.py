"""The inputs of the fuzzer: sound files, damaged by a draw of random numbers that the seed fixes."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.fuzz_readers import Reader

NUMBERS = (
    "0",
    "-1",
    "1",
    "7",
    "255",
    "65536",
    "2147483647",
    "4294967296",
    "1e308",
    "nan",
    "inf",
    "9" * 50,
    "0x7fffffff",
)
WORDS = (
    *("{", "}", "[", "]", '"', "'", "\\", ":", ",", "\n", "\0", "é", "\x1a", "#", "<", ">", "=", "true", "null"),
    *("__import__('os')", "s0**s0", "Pow(9, 9)", "torch.os.system", "../", "/dev/zero", "repeat_id", "dim", "stop"),
)


def input_of(reader: Reader, seeds: Sequence[bytes], name: str, seed: int, number: int) -> bytes:
    """Make one input."""
    draw = random.Random(f"{seed} {name} {number}")
    whole = draw.choice(seeds)
    if not reader.member:
        data = damaged(whole, seeds, draw)
        return signed(data) if reader.signed and draw.random() < 0.67 else data
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as new:
        for member in old.namelist():
            data = old.read(member)
            if reader.member in member:
                data = changed_json(data, draw) if member.endswith(".json") else damaged(data, [data], draw)
            new.writestr(zipfile.ZipInfo(member), data)  # without the time of day
    return result.getvalue()


def sound_files(reader: Reader) -> list[bytes]:
    """Return the files that are damaged, the same in every process: no chance and no time of day is in them."""
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
        warnings.simplefilter("ignore")  # torch's, on the formats that are written
        torch.manual_seed(0)
        return reader.seeds()


def signed(data: bytes) -> bytes:
    """Give each line its digest, in the place of the one that it ends in."""
    return b"".join(signed_line(re.sub(rb" \w*$", b"", line)) for line in data.splitlines())


def signed_line(text: bytes) -> bytes:
    return text + b" " + hashlib.sha256(text).hexdigest()[:32].encode() + b"\n"


def damaged(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """Damage bytes in one to four places."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        data = draw.choice(_DAMAGES)(data, draw) if draw.random() < 0.9 else _spliced(data, draw.choice(others), draw)
    return data


def _place(data: bytes, draw: random.Random) -> int:
    return draw.randrange(len(data) + 1)


def _bits(data: bytes, draw: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(draw.choice((1, 3, 20)) if data else 0):
        result[draw.randrange(len(result))] ^= 1 << draw.randrange(8)
    return bytes(result)


def _bytes(data: bytes, draw: random.Random) -> bytes:
    at, count = _place(data, draw), draw.choice((1, 2, 4, 8))
    value = draw.choice((b"\0", b"\xff", b"\x7f", bytes([draw.randrange(256)])))
    return data[:at] + value * count + data[at + count :]


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: _place(data, draw)]


def _without(data: bytes, draw: random.Random) -> bytes:
    at = _place(data, draw)
    return data[:at] + data[at + draw.choice((1, 4, 64)) :]


def _repeated(data: bytes, draw: random.Random) -> bytes:
    at, length = _place(data, draw), draw.choice((1, 8, 100))
    return data[:at] + data[at : at + length] * draw.choice((2, 10, 1000)) + data[at:]


def _word(data: bytes, draw: random.Random) -> bytes:
    at = _place(data, draw)
    return data[:at] + draw.choice(WORDS).encode() * draw.choice((1, 1, 1, 5000)) + data[at:]


def _number(data: bytes, draw: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    if not found:
        return _bits(data, draw)
    which = draw.choice(found)
    return data[: which.start()] + draw.choice(NUMBERS).encode() + data[which.end() :]


def _spliced(data: bytes, other: bytes, draw: random.Random) -> bytes:
    return data[: _place(data, draw)] + other[_place(other, draw) :]


_DAMAGES: Sequence[Callable[[bytes, random.Random], bytes]] = (_bits, _bytes, _cut, _without, _repeated, _word, _number)


def changed_json(data: bytes, draw: random.Random) -> bytes:
    """Change values of JSON, which stays JSON; now and then the bytes."""
    if draw.random() < 0.1:
        return damaged(data, [data], draw)
    content = json.loads(data)
    places = list(_places(content))
    for _ in range(draw.choice((1, 1, 3))):
        holder, key = draw.choice(places)
        value = holder[key]
        text = damaged(str(value).encode(), [b""], draw).decode(errors="replace")
        number = draw.choice((0, -1, 1, 1 << 31, 1 << 63, 10**30, 0.5, float("inf")))
        holder[key] = draw.choice((text, text, number, number, None, True, [], {}, [value, value], {"as_int": value}))
    return json.dumps(content).encode()


def _places(content: Any) -> Any:
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield content, key
        yield from _places(value)
