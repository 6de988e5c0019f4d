"""Read volumes: arrays, NIfTI files and DICOM series; write maps that lie where their volume lies."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data import arrays
from pytorch_grad_cam.data.files import write_bytes

NIFTI = (".nii", ".nii.gz")
DICOM = (".dcm", ".dicom", ".ima")
_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))  # by the axes of the patient: towards lower and higher numbers
_UNEVEN = 0.05  # share by which distances between slices may differ


@dataclass(frozen=True)
class Volume:
    """A volume and where it lies in the patient.

    Attributes:
        values: float32 ``(D, H, W)``, or ``(C, D, H, W)`` with several channels.
        affine: from indices ``(d, h, w, 1)`` to millimetres to the right, front and top (RAS), ``(4, 4)``; None where
            nothing is known.
    """

    values: NDArray[np.float32]
    affine: NDArray[np.float64] | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The size of a voxel along each axis; 1 where nothing is known."""
        if self.affine is None:
            return 1.0, 1.0, 1.0
        depth, height, width = np.sqrt((self.affine[:3, :3] ** 2).sum(0)).tolist()
        return depth, height, width

    @property
    def orientation(self) -> str | None:
        """Where each axis points as its index grows, e.g. "RAS"; None where nothing is known.

        Of an axis that lies askew, the nearest direction.
        """
        if self.affine is None:
            return None
        directions = self.affine[:3, :3] / np.array(self.spacing)
        letters = [""] * 3
        free = {0, 1, 2}
        for axis in np.argsort(-np.abs(directions).max(0), kind="stable").tolist():
            patient = max(free, key=lambda row: abs(directions[row, axis]))
            free.remove(patient)
            letters[axis] = _LETTERS[patient][int(directions[patient, axis] > 0)]
        return "".join(letters)


def read_volume(path: str | Path, key: str | None = None, index: int | None = None) -> Volume:
    """Read a volume.

    Args:
        path: a .npy, .npz, .nii or .nii.gz file, a DICOM file, or a folder with the files of one DICOM series.
        key: the name of the array, where a .npz file has several.
        index: of the entry, where the file holds several volumes: along the first axis, of NIfTI along the fourth.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ImportError: if a package is missing: nibabel for NIfTI, pydicom for DICOM.
        ValueError: if the file is no volume, or cannot be read; the message says why.
        IndexError: for an entry that is not there.
    """
    path = Path(path)
    name = path.name.lower()
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}; check the path")
    if path.is_dir() or name.endswith(DICOM):
        return _read_dicom(sorted(path.iterdir()) if path.is_dir() else [path], path)
    if name.endswith(NIFTI):
        return _read_nifti(path, index)
    if name.endswith(arrays.ENDINGS):
        return Volume(_checked(arrays.read_array(path, key, index), path))
    raise ValueError(
        f"{path} is no volume that can be read; give .npy, .npz, .nii, .nii.gz, .dcm, or a folder with a DICOM series"
    )


def write_map(path: str | Path, map: NDArray[np.float32], affine: NDArray[np.float64]) -> None:
    """Write a map ``(D, H, W)`` as NIfTI, which lies where its volume lies.

    Args:
        path: ends in .nii.gz.
        map: of the volume's shape.
        affine: of the volume.

    Raises:
        ImportError: without nibabel.
        OSError: if the file cannot be written.
    """
    image: Any = need("nibabel").Nifti1Image(np.asarray(map, np.float32), affine)
    image.header.set_xyzt_units("mm")
    write_bytes(path, gzip.compress(image.to_bytes(), mtime=0))


def _checked(values: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    while values.ndim > 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim not in (3, 4):
        raise ValueError(
            f"{path} has the shape {values.shape}, which is no volume (D, H, W) or (C, D, H, W); of several volumes "
            "choose one with --index"
        )
    return values


def _read_nifti(path: Path, index: int | None) -> Volume:
    nibabel: Any = need("nibabel")
    try:
        image = nibabel.load(path)
        arrays.check_bytes(tuple(image.shape), 4)
        values = np.asarray(image.dataobj, dtype=np.float32)
        affine = np.asarray(image.affine, dtype=np.float64)
    except Exception as error:  # nibabel raises errors of many kinds for damaged files
        raise ValueError(f"{path} cannot be read as NIfTI: {error}") from error
    if values.ndim > 3:
        values = np.moveaxis(values.reshape(*values.shape[:3], -1), 3, 0)
        if index is not None:
            values = arrays.as_numbers(values, str(path), index)
    elif index is not None:
        raise IndexError(f"--index {index}: {path} holds one volume {values.shape}")
    if not np.isfinite(affine).all() or math.isclose(float(np.linalg.det(affine[:3, :3])), 0, abs_tol=1e-12):
        raise ValueError(f"{path} says of its axes what cannot be: the affine {affine[:3].tolist()}")
    return Volume(_checked(np.ascontiguousarray(values), path), affine)


def _read_dicom(files: Sequence[Path], path: Path) -> Volume:
    pydicom: Any = need("pydicom")
    slices: list[Any] = []
    for file in files:
        if not file.is_file():
            continue
        try:
            slices.append(pydicom.dcmread(file))
        except pydicom.errors.InvalidDicomError as error:
            if len(files) == 1:
                raise ValueError(f"{path} is no DICOM file") from error
    slices = [each for each in slices if "PixelData" in each]
    if not slices:
        raise ValueError(f"{path} holds no DICOM picture; give the folder of one series")
    series: dict[str, int] = {}
    for each in slices:
        name = f"{each.get('SeriesDescription', 'no description')} ({each.get('SeriesInstanceUID', 'no number')})"
        series[name] = series.get(name, 0) + 1
    if len(series) > 1:
        listed = "; ".join(f"{name}: {count} files" for name, count in series.items())
        raise ValueError(f"{path} holds {len(series)} series, give a folder with one: {listed}")
    if len(slices) == 1:
        return Volume(_checked(_pixels(slices[0], path), path))
    return _stacked(slices, path)


def _stacked(slices: list[Any], path: Path) -> Volume:
    """Put slices on top of each other, in the order in which they lie."""
    try:
        across, down = np.array(slices[0].ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        places = np.array([each.ImagePositionPatient for each in slices], dtype=np.float64)
        height, width = (float(length) for length in slices[0].PixelSpacing)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: the slices do not say where they lie ({error})") from error
    if any(
        not np.allclose(each.ImageOrientationPatient, slices[0].ImageOrientationPatient, atol=1e-3) for each in slices
    ):
        raise ValueError(f"{path}: the slices are not parallel; give a folder with one series")
    depths = places @ np.cross(across, down)
    order = np.argsort(depths, kind="stable")
    steps = np.diff(depths[order])
    if steps.min() <= 0 or steps.max() - steps.min() > _UNEVEN * steps.mean():
        raise ValueError(
            f"{path}: the distances between slices are {steps.min():g} to {steps.max():g} mm; one is missing, or there "
            "are several pictures of a place"
        )
    stack = [_pixels(slices[number], path) for number in order]
    if len({each.shape for each in stack}) > 1 or stack[0].ndim != 2:
        raise ValueError(f"{path}: the slices have the shapes {sorted({each.shape for each in stack})}")
    affine = np.eye(4)
    affine[:3, 0] = (places[order[-1]] - places[order[0]]) / (len(order) - 1)
    affine[:3, 1], affine[:3, 2] = down * height, across * width
    affine[:3, 3] = places[order[0]]
    affine[:2] *= -1  # DICOM counts to the left and to the back
    return Volume(np.stack(stack), affine)


def _pixels(dataset: Any, path: Path) -> NDArray[np.float32]:
    try:
        arrays.check_bytes((int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames", 1) or 1)), 4)
        pixels = np.asarray(dataset.pixel_array, dtype=np.float32)
    except Exception as error:  # pydicom, and what decodes for it, raise errors of many kinds
        raise ValueError(f"{path}: a picture cannot be decoded: {' '.join(str(error).split())}") from error
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return pixels * np.float32(slope) + np.float32(intercept)
