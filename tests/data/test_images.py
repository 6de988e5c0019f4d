"""Pictures in and out of files, and optional packages."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data.files import check_writable, write_bytes
from pytorch_grad_cam.data.images import read_image, write_image


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_path_bytes_pil_and_an_array_are_the_same_picture(picture: NDArray[np.uint8], tmp_path: Path) -> None:
    image = Image.fromarray(picture)
    (tmp_path / "a.png").write_bytes(encoded(image))
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), encoded(image), image, picture):
        found = read_image(source)
        assert found.dtype == np.uint8
        assert np.array_equal(found, picture)
        found[:] = 0  # a copy that can be written to; the source stays as it was
    assert picture.any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_s_orientation_is_honoured(orientation: int) -> None:
    upright = np.zeros((40, 60, 3), dtype=np.uint8)
    upright[:20, :20] = 255  # only the top left is white
    turn_back = {1: 0, 2: "f", 3: 2, 4: "t", 5: "ft", 6: 1, 7: "tt", 8: 3}[orientation]
    stored = {
        0: upright,
        "f": upright[:, ::-1],
        2: np.rot90(upright, 2),
        "t": upright[::-1],
        "ft": upright.transpose(1, 0, 2),
        1: np.rot90(upright, 1),
        "tt": np.rot90(upright, 2).transpose(1, 0, 2),
        3: np.rot90(upright, 3),
    }[turn_back]
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_image(encoded(Image.fromarray(np.ascontiguousarray(stored)), "JPEG", exif=exif, quality=95))
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).max() < 60


def test_every_kind_of_pixel_becomes_rgb(picture: NDArray[np.uint8]) -> None:
    image = Image.fromarray(picture)
    gray = np.asarray(image.convert("L"))
    three = np.repeat(gray[:, :, None], 3, axis=2)
    assert np.array_equal(read_image(encoded(image.convert("L"))), three)
    assert np.array_equal(read_image(encoded(image.convert("LA"))), three)
    assert np.array_equal(read_image(encoded(Image.fromarray(gray.astype(np.uint16) * 257))), three)
    assert np.array_equal(read_image(Image.fromarray(gray.astype(np.int32) * 257)), three)
    assert np.array_equal(read_image(Image.fromarray(gray.astype(np.float32) / 255)), three)
    assert np.array_equal(read_image(encoded(image.convert("1"))), np.asarray(image.convert("1").convert("RGB")))
    assert np.array_equal(read_image(encoded(image.convert("P"))), np.asarray(image.convert("P").convert("RGB")))
    plain = np.full((8, 8, 3), (200, 60, 10), dtype=np.uint8)
    cmyk = read_image(encoded(Image.fromarray(plain).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk.astype(int) - plain).max() < 12
    assert read_image(encoded(Image.new("RGB", (1, 1), (1, 2, 3)))).tolist() == [[[1, 2, 3]]]


def test_transparency_shows_white() -> None:
    rgba = np.zeros((2, 2, 4), dtype=np.uint8)
    rgba[0, 0, 3], rgba[0, 1, 3] = 255, 51
    expected = np.full((2, 2, 3), 255, dtype=np.uint8)
    expected[0, 0], expected[0, 1] = 0, 204
    for source in (rgba, encoded(Image.fromarray(rgba))):
        assert np.array_equal(read_image(source), expected)
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([10, 20, 30])
    assert read_image(encoded(palette, transparency=0)).tolist() == [[[255, 255, 255]]]


def test_arrays_of_every_usual_kind(picture: NDArray[np.uint8]) -> None:
    gray = picture[:, :, :1]
    same: NDArray[Any]
    for same in (picture.astype(np.float64) / 255, picture.astype(np.uint16) * 257, picture.astype(np.int64)):
        assert np.array_equal(read_image(same), picture)
    for same in (gray, gray[:, :, 0]):
        assert np.array_equal(read_image(same), np.repeat(gray, 3, axis=2))
    assert read_image(np.array([[True, False]])).tolist() == [[[255] * 3, [0] * 3]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 8, 9), np.uint8), r"not \(3, 8, 9\); channels come last, transpose it"),
        (np.zeros((8, 9, 5), np.uint8), r"must have shape .* not \(8, 9, 5\)"),
        (np.zeros((0, 9, 3), np.uint8), r"not \(0, 9, 3\)"),
        (np.full((2, 2), 1.5), r"not float64 1.5..1.5; scale it first"),
        (np.full((2, 2), -1), r"not int64 -1..-1"),
        (np.full((2, 2), np.nan), "not float64 nan..nan"),
        (np.full((2, 2), "x"), "not <U1 something else"),
    ],
)
def test_arrays_that_are_no_pictures(array: NDArray[np.generic], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_image(array)


def test_a_tensor_is_no_picture() -> None:
    with pytest.raises(TypeError, match="a PIL image or an array, not Tensor"):
        read_image(torch.zeros(3, 4, 4))  # type: ignore[arg-type]


def test_files_that_are_no_pictures(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    text, empty, cut = tmp_path / "text.jpg", tmp_path / "empty.jpg", tmp_path / "cut.png"
    text.write_text("hello")
    empty.touch()
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    for error, source, message in (
        (FileNotFoundError, tmp_path / "no.jpg", "there is no file .*no.jpg; check the path"),
        (IsADirectoryError, tmp_path, "is a folder; give a picture in it"),
        (ValueError, text, "text.jpg is not a picture in a known format"),
        (ValueError, empty, "empty.jpg is empty"),
        (ValueError, b"", "the given data is empty"),
        (OSError, text / "inside.jpg", "cannot read .*inside.jpg: not a directory"),
    ):
        with pytest.raises(error, match=message):
            read_image(source)
    for length in (40, len(whole) // 2, len(whole) - 40):
        cut.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut.png (cannot be read as|is not) a picture"):
            read_image(cut)


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpg", "new/deeper/a.jpeg"])
def test_what_is_written_can_be_read(name: str, tmp_path: Path) -> None:
    y, x = np.mgrid[:32, :48]
    picture = np.stack([4 * x, 6 * y, 255 - 2 * (x + y)], axis=2).astype(np.uint8)
    write_image(tmp_path / name, picture)
    found = read_image(tmp_path / name)
    assert np.abs(found.astype(int) - picture).max() <= (0 if name.lower().endswith("png") else 8)
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [Path(name).name]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]


def test_places_that_cannot_be_written_to(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*a.jpg: .*; choose another folder"):
        write_image(tmp_path / "file" / "a.jpg", picture)
    with pytest.raises(NotADirectoryError, match="file is not a folder; choose another folder"):
        check_writable(tmp_path / "file" / "deeper" / "still")
    check_writable(tmp_path / "new" / "deeper")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match=r"a.gif does not say which format to write; end it in .jpg, .jpeg, .png"):
        write_image(tmp_path / "a.gif", picture)


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root, who runs many tests, may write anywhere
    with pytest.raises(PermissionError, match=r"no permission in .*; choose another folder"):
        check_writable(tmp_path / "new")


# --- optional packages ----------------------------------------------------------------------------------------------


def test_a_missing_package_says_how_to_get_it() -> None:
    with pytest.raises(ImportError, match="needs the package not_there_at_all, which is missing: pip install"):
        need("not_there_at_all.torch")
    assert need("json.decoder").JSONDecoder


def test_a_broken_package_says_what_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_one.py").write_text("import not_there_at_all")
    (tmp_path / "broken_two.py").write_text("raise OSError('libfoo.so: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    for name, reason in (("broken_one", "No module named 'not_there_at_all'"), ("broken_two", "libfoo.so")):
        with pytest.raises(ImportError, match=f"{name} is installed but cannot be imported: .*{reason}"):
            need(name)
