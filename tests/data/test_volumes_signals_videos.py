"""Files of volumes, signals and video: what is read, where it lies, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import missing
from PIL import Image

from pytorch_grad_cam.data.signals import read_signal
from pytorch_grad_cam.data.videos import read_video, save_video
from pytorch_grad_cam.data.volumes import Volume, read_volume, write_map

LAS = np.array([[-2.0, 0, 0, 10], [0, 3, 0, -5], [0, 0, 4, 1], [0, 0, 0, 1]])


def volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def dicom_slice(path: Path, pixels: np.ndarray, place: list[float], series: str = "1.2.3") -> None:
    pydicom = missing.package("pydicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1"
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data: Any = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.is_little_endian, data.is_implicit_VR = True, False
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID, data.SeriesDescription = series, f"series {series}"
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 0, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelSpacing, data.ImagePositionPatient = [0.5, 2.0], place
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.RescaleSlope, data.RescaleIntercept = 2, -10
    data.PixelData = pixels.astype("<u2").tobytes()
    data.save_as(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_dicom_series_lies_where_its_slices_say(tmp_path: Path) -> None:
    """Slices in any order of names; position by the standard's formula (C.7.6.2.1.1), x and y turned round for RAS."""
    pixels = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    for name, index in (("c", 0), ("a", 1), ("b", 2)):
        dicom_slice(tmp_path / name, pixels[index], [-7.0, 11.0, 20 + 3 * index])
    (tmp_path / "notes.txt").write_text("no picture")
    found = read_volume(tmp_path)
    assert np.array_equal(found.values, 2 * pixels - 10)
    assert found.affine is not None
    for d, row, column in ((0, 0, 0), (2, 3, 4), (1, 2, 0)):
        x, y, z = -7 + 2.0 * column, 11 + 0.5 * row, 20 + 3 * d
        assert np.allclose(found.affine @ [d, row, column, 1], [-x, -y, z, 1])
    assert found.spacing == (3.0, 0.5, 2.0)
    assert found.orientation == "SPL"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dicom_that_is_no_series(tmp_path: Path) -> None:
    pixels = np.ones((4, 5), np.uint16)
    for name, height, series in (("a", 0.0, "1.2"), ("b", 1.0, "1.2"), ("c", 3.0, "1.2")):
        dicom_slice(tmp_path / name, pixels, [0, 0, height], series)
    with pytest.raises(ValueError, match="the distances between slices are 1 to 2 mm; one is missing"):
        read_volume(tmp_path)
    dicom_slice(tmp_path / "d", pixels, [0, 0, 2], "1.9")
    with pytest.raises(ValueError, match=r"holds 2 series, give a folder with one: series 1\.2 \(1\.2\): 3 files"):
        read_volume(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no DICOM picture"):
        read_volume(tmp_path / "empty")
    (tmp_path / "text.dcm").write_text("no picture")
    with pytest.raises(ValueError, match="is no DICOM file"):
        read_volume(tmp_path / "text.dcm")


def test_nifti_keeps_its_place(tmp_path: Path) -> None:
    nibabel = missing.package("nibabel")
    values = volume(4, 5, 6)
    nibabel.save(nibabel.Nifti1Image(values, LAS), tmp_path / "a.nii.gz")
    found = read_volume(tmp_path / "a.nii.gz")
    assert np.array_equal(found.values, values)
    assert found.orientation == "LAS"
    assert found.spacing == (2.0, 3.0, 4.0)
    assert found.affine is not None
    write_map(tmp_path / "map.nii.gz", values / 2, found.affine)
    again = nibabel.load(tmp_path / "map.nii.gz")
    assert np.array_equal(again.get_fdata(), values / 2)
    assert np.array_equal(again.affine, LAS)
    with pytest.raises(IndexError, match="holds one volume"):
        read_volume(tmp_path / "a.nii.gz", index=1)
    nibabel.save(nibabel.Nifti1Image(np.stack([values, -values], 3), LAS), tmp_path / "two.nii")
    assert np.array_equal(read_volume(tmp_path / "two.nii", index=1).values, -values)
    assert read_volume(tmp_path / "two.nii").values.shape == (2, 4, 5, 6)
    (tmp_path / "broken.nii.gz").write_bytes((tmp_path / "a.nii.gz").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"broken\.nii\.gz cannot be read as NIfTI"):
        read_volume(tmp_path / "broken.nii.gz")


def test_directions_are_those_of_nibabel() -> None:
    nibabel = missing.package("nibabel")
    generator = np.random.default_rng(3)
    for _ in range(200):
        affine = np.eye(4)
        affine[:3, :3] = np.linalg.qr(generator.normal(size=(3, 3)))[0] * generator.uniform(0.5, 3, 3)
        assert Volume(volume(2, 2, 2), affine).orientation == "".join(nibabel.aff2axcodes(affine))


def test_arrays(tmp_path: Path) -> None:
    values = volume(2, 4, 5, 6)
    np.save(tmp_path / "a.npy", values)
    np.savez_compressed(tmp_path / "a.npz", one=values, two=values[0])
    assert np.array_equal(read_volume(tmp_path / "a.npy", index=1).values, values[1])
    assert np.array_equal(read_volume(tmp_path / "a.npz", "two").values, values[0])
    assert read_volume(tmp_path / "a.npy").orientation is None
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    np.save(tmp_path / "words.npy", np.array(["a"]))
    (tmp_path / "text.npy").write_text("no array")
    for name, key, message in (
        ("a.npz", None, "it holds several arrays; name one with --key: one, two"),
        ("a.npz", "three", "it has no array 'three'; it has one, two"),
        ("a.npy", "one", "it is one array without a name"),
        ("objects.npy", None, "it holds Python objects, which are not read"),
        ("words.npy", None, "not real numbers"),
        ("text.npy", None, "it is no .npy or .npz file"),
    ):
        with pytest.raises(ValueError, match=message):
            read_volume(tmp_path / name, key)
    with pytest.raises(IndexError, match="there is no such entry"):
        read_volume(tmp_path / "a.npy", index=2)
    with pytest.raises(ValueError, match="is no volume that can be read; give"):
        read_volume(Path(__file__))
    np.save(tmp_path / "flat.npy", values[0, 0])
    with pytest.raises(ValueError, match="which is no volume"):
        read_volume(tmp_path / "flat.npy")


def test_signals(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time;I;II\n0;1;4\n0.5;2;\n1.0;3;6\n")
    found = read_signal(tmp_path / "a.csv")
    assert np.array_equal(found.values, [[1, 2, 3], [4, np.nan, 6]], equal_nan=True)
    assert found.names == ("I", "II")
    assert found.rate == 2.0
    (tmp_path / "b.csv").write_text("1,2\n3,4\n")
    assert read_signal(tmp_path / "b.csv").names is None
    np.save(tmp_path / "many.npy", volume(7, 2, 30))
    assert read_signal(tmp_path / "many.npy", index=3).values.shape == (2, 30)
    for text, message in (
        ("time,I\n0,1\n1,2\n5,3\n", "the steps of the column 'time' are 1 to 4, and have to be equal"),
        ("I,II\n1,2\n1,x\n", r"line 3 of .*: 'x' is no number"),
        ("1,2\n1\n", r"line 2 of .*: it has 1 cells, the first 2"),
        ("I\n1\n", "has 1 lines of numbers"),
        ("", "has 0 lines of numbers"),
    ):
        (tmp_path / "wrong.csv").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_signal(tmp_path / "wrong.csv")
    with pytest.raises(ValueError, match="which is no signal"):
        read_signal(tmp_path / "many.npy")


def frames(count: int = 5) -> np.ndarray:
    pictures = np.zeros((count, 33, 49, 3), np.uint8)
    for index in range(count):
        pictures[index, :, 8 * index : 8 * index + 12] = (250, 120, 10)
    return pictures


def test_video_there_and_back(tmp_path: Path) -> None:
    given = frames()
    save_video(tmp_path / "a.mp4", given, 12.5)
    found = read_video(tmp_path / "a.mp4", 99, 10**6)
    assert found.rate == pytest.approx(12.5, abs=0.01)
    assert found.frames.shape == (5, 34, 50, 3)  # even sides
    assert np.abs(found.frames[:, 4:28, 4:44].astype(int) - given[:, 4:28, 4:44]).mean() < 12
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    few = read_video(tmp_path / "a.mp4", 2, 10**6)
    assert (len(few.frames), few.left_out) == (2, 3)
    pictures = [Image.fromarray(frame) for frame in given]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=250)
    animated = read_video(tmp_path / "a.gif", 4, 10**6)
    assert animated.rate == 4.0
    assert (len(animated.frames), animated.left_out) == (4, 1)
    assert np.abs(animated.frames.astype(int) - given[:4]).max() < 8


def test_video_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"no picture")
    (tmp_path / "a.mp4").write_bytes(b"no video")
    for name in ("a.gif", "a.mp4"):
        with pytest.raises(ValueError, match="cannot be read"):
            read_video(tmp_path / name, 9, 10**6)
    with pytest.raises(ValueError, match="is no video that can be read; known endings are"):
        read_video(Path(__file__), 9, 10**6)
    save_video(tmp_path / "b.avi", frames(), 5)
    with pytest.raises(ValueError, match="frames of 50 x 34 pixels; --max-pixels allows"):
        read_video(tmp_path / "b.avi", 9, 100)
    with pytest.raises(ValueError, match=r"does not end in \.mp4 or \.avi"):
        save_video(tmp_path / "b.mov", frames(), 5)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write"):
        save_video(tmp_path / "file" / "b.mp4", frames(), 5)
    assert {path.name for path in tmp_path.iterdir()} == {"a.gif", "a.mp4", "b.avi", "file"}
