"""Small picture files that stand for much memory, and what is no file at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from helpers.limited import MEMORY, SECONDS, Reading, read_limited
from PIL import Image

from pytorch_grad_cam.data.images import MAX_PIXELS, read_image

SIDE = 8_000  # whose square is the largest number of pixels that is read


def saved(mode: str, size: tuple[int, int], kind: str = "PNG", **options: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        Image.new(mode, size).save(path, kind, **options)

    return write


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink("/dev/zero", tmp_path / "zero.png")
    for path in ("/dev/zero", tmp_path / "pipe.png", tmp_path / "zero.png"):
        with pytest.raises(ValueError, match="is no file, but a device, pipe or socket; give a picture"):
            read_image(path)


def test_the_number_of_pixels_is_limited_and_the_limit_can_be_moved(tmp_path: Path) -> None:
    saved("RGB", (30, 20))(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    for source in (tmp_path / "a.png", data):
        assert read_image(source, max_pixels=600).shape == (20, 30, 3)
        with pytest.raises(ValueError, match=r"has 30 x 20 pixels, more than the 599 that are read; make it smaller"):
            read_image(source, max_pixels=599)
    assert MAX_PIXELS == SIDE**2
    assert read_image(Image.open(BytesIO(data)), max_pixels=1).shape == (20, 30, 3)  # it is there already
    saved("1", (SIDE, SIDE + 1))(tmp_path / "large.png")
    with pytest.raises(ValueError, match="more than the 64000000 that are read"):
        read_image(tmp_path / "large.png")


def test_nothing_is_run_to_decode_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with Image.open(tmp_path / "a.eps") as image:
        assert image.format == "EPS"  # so PIL would read it, with Ghostscript
    with pytest.raises(ValueError, match="is not a picture in a known format"):
        read_image(tmp_path / "a.eps")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "JPEG2000", "PCX", "SGI"])
def test_the_usual_formats_are_read(kind: str, tmp_path: Path) -> None:
    saved("RGB", (8, 8), kind)(tmp_path / "a")
    assert read_image(tmp_path / "a").shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "LA", "P", "F", "RGB"])
def test_pieces_are_the_whole(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (37, 23, 4), dtype=np.uint8)
    arrays = {"I;16": draw.integers(0, 65536, (37, 23), dtype=np.uint16), "F": draw.random((37, 23), dtype=np.float32)}
    image = Image.fromarray(arrays[mode]) if mode in arrays else Image.fromarray(pixels).convert(mode)
    whole = read_image(image), read_image(arrays.get(mode, pixels))
    monkeypatch.setattr("pytorch_grad_cam.data.images._PIECE", 100)
    for one, other in zip(whole, (read_image(image), read_image(arrays.get(mode, pixels))), strict=True):
        assert np.array_equal(one, other)


TURNED = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"  # by 90 degrees
FILES = {
    "colour": saved("RGB", (SIDE, SIDE)),
    "transparent": saved("RGBA", (SIDE, SIDE)),
    "16 bits": saved("I;16", (SIDE, SIDE)),
    "turned": saved(
        "RGB", (SIDE, SIDE), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    ),
    "palette": saved("P", (SIDE, SIDE), transparency=0),
    "one row": saved("RGBA", (SIDE * SIDE // 100, 100)),
    "beyond": saved("RGB", (13_000, 13_000)),
}


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reading]:
    folder = tmp_path_factory.mktemp("pictures")
    saved("RGBA", (8, 8))(folder / "warm.png")
    paths = {name: folder / f"{number}.png" for number, name in enumerate(FILES)}
    for name, write in FILES.items():
        write(paths[name])
    return read_limited("pytorch_grad_cam.data.images:read_image", folder / "warm.png", paths)


@pytest.mark.slow  # the largest that are read take a second each
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux does; run it there")
@pytest.mark.parametrize("name", FILES)
def test_the_largest_picture_takes_less_than_a_gigabyte(name: str, readings: dict[str, Reading]) -> None:
    found = readings[name]
    assert ("more than the 64000000" in found.said) == (name == "beyond"), found.said
    assert found.seconds < 2 * SECONDS  # 64 million pixels: two seconds to decode, one to convert
    assert found.memory < MEMORY
