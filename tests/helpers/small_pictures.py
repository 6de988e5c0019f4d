"""Pictures of one colour, which tell where they come from, and what every item of a source must be able to do."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.paths import ROOT

MAX_PIXELS = 1000
_READ = """
import hashlib, pickle, sys
sys.path[:0] = {path!r}
items = pickle.loads(sys.stdin.buffer.read())
print([(item.id, item.label, hashlib.sha256(item.read({max_pixels}).tobytes()).hexdigest()) for item in items])
"""


def colour(number: int) -> tuple[int, int, int]:
    return number, 2 * number, 200 - number


def picture(number: int, size: tuple[int, int] = (6, 4)) -> Image.Image:
    return Image.new("RGB", size, colour(number))


def encoded(number: int) -> bytes:
    data = BytesIO()
    picture(number).save(data, "PNG")
    return data.getvalue()


def write_pictures(folder: Path, names: Sequence[str]) -> None:
    """Write a picture for each name, all different; PNG whatever the ending."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(number))


def number_of(pixels: NDArray[np.uint8]) -> int:
    """Return which picture it is, after a look at all of its pixels."""
    number = int(pixels[0, 0, 0])
    assert pixels.dtype == np.uint8
    assert pixels.shape == (4, 6, 3)
    assert (pixels == colour(number)).all()
    return number


def check_items(source: Any, here: Path, smaller_than: int = 2000) -> list[Any]:
    """Hold what every source promises, and return its items.

    The same items in the same order each time, as many as it says; small once pickled; read by many threads at once, in
    any order, and in another process that works in another folder.
    """
    items = list(source)
    assert len(source) == len(items) > 1
    assert [(each.id, each.origin) for each in source] == [(each.id, each.origin) for each in items]
    assert len({each.id for each in items}) == len(items)
    assert all(len(pickle.dumps(each)) < smaller_than for each in items)
    assert source.description
    first = [each.read(MAX_PIXELS) for each in items]
    again = [*items, *reversed(items)] * 5
    with ThreadPoolExecutor(8) as threads:
        for item, pixels in zip(again, threads.map(lambda each: each.read(MAX_PIXELS), again), strict=True):
            np.testing.assert_array_equal(pixels, first[items.index(item)])
    script = _READ.format(path=[str(ROOT), str(ROOT / "tests"), str(here)], max_pixels=MAX_PIXELS)
    folder = here / "elsewhere"
    folder.mkdir()
    read = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(items), capture_output=True, cwd=folder, check=False
    )
    assert read.returncode == 0, read.stderr.decode()
    wanted = [
        (item.id, item.label, hashlib.sha256(pixels.tobytes()).hexdigest())
        for item, pixels in zip(items, first, strict=True)
    ]
    assert read.stdout.decode().strip() == repr(wanted)
    return items
