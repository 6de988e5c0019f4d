"""Boxes, masks and classes that people drew, from files, in the positions of a network's input.

Boxes: VOC's XML, COCO's JSON, or a CSV. Pictures are found by the name of their file, with or without its ending.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.limits import MAX_PIXELS
from pytorch_grad_cam.data.preprocessing import Preprocessing

T = TypeVar("T")
_FILE = ("file", "image", "filename", "file_name", "path", "picture")
_LABEL = ("label", "class", "name", "category", "target")
_CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
_VOID = 255  # in a mask with a palette, as Pascal VOC has them: nobody knows


@dataclass(frozen=True)
class Box:
    """An object's box in the pixels of its picture, the last exclusive, and what it is, if the file says so."""

    corners: tuple[float, float, float, float]  # x1, y1, x2, y2
    label: str | None = None


def read_boxes(path: str | Path) -> dict[str, list[Box]]:
    """Read boxes from a file, or from all the XML files of a folder.

    Args:
        path: ``.xml`` or a folder of these (Pascal VOC: the first pixel is 1, the last one is inside), ``.json`` (COCO:
            x, y, width, height), or ``.csv`` with a heading: file, x1, y1, x2, y2 and, if known, label.

    Returns:
        Boxes by the name of the picture's file.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is none of these, or a box is none.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file of boxes {path}; check the path")
    if path.is_dir():
        files = sorted(path.glob("*.xml"))
        if not files:
            raise ValueError(f"the folder {path} has no .xml files; give boxes as VOC's XML, COCO's JSON or a CSV")
        pairs = [pair for file in files for pair in _voc(file)]
    else:
        readers = {".xml": _voc, ".json": _coco, ".csv": _csv_boxes}
        if path.suffix.lower() not in readers:
            raise ValueError(f"{path} is no file of boxes; give VOC's XML (or a folder of it), COCO's JSON or a CSV")
        pairs = list(readers[path.suffix.lower()](path))
    found: dict[str, list[Box]] = {}
    for name, box in pairs:
        x1, y1, x2, y2 = box.corners
        if not (x1 < x2 and y1 < y2):
            raise ValueError(f"{path}: the box {box.corners} of {name} must have x1 < x2 and y1 < y2")
        found.setdefault(Path(name).name, []).append(box)
    if not found:
        raise ValueError(f"{path} has no boxes")
    return found


def read_labels(path: str | Path) -> dict[str, str]:
    """Read classes from a CSV with a heading: file and label; returned by the name of the picture's file.

    Raises:
        FileNotFoundError, ValueError: if it is not there, or lacks one of the two columns.
    """
    rows = _csv_rows(Path(path))
    found = {}
    for line, row in rows:
        name, label = _cell(row, _FILE), _cell(row, _LABEL)
        if name is None or label is None:
            raise ValueError(
                f"{path}, line {line}: it must name a file and its label; the columns are {', '.join(row)}"
            )
        found[Path(name).name] = label
    return found


def find_mask(folder: str | Path, picture: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.bool_] | None:
    """Read the mask of a picture: NAME.png, or NAME_mask.png. None if there is none.

    Where the file has a palette, 0 is background and 255 unknown, as in Pascal VOC; else all but 0 is the object.

    Returns:
        bool ``(H, W)``.

    Raises:
        ValueError: if it is no picture, or too large.
    """
    from PIL import Image, UnidentifiedImageError

    for name in (f"{picture.stem}.png", f"{picture.stem}_mask.png"):
        path = Path(folder) / name
        if not path.is_file() or path.absolute() == picture.absolute():
            continue
        try:
            with Image.open(path, formats=("PNG",)) as image:
                if image.width * image.height > max_pixels:
                    raise ValueError(f"the mask {path} has more than {max_pixels} pixels")
                values = np.array(image)
                void = image.mode == "P"
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"the mask {path} is no PNG file that can be read: {error}") from error
        values = values if values.ndim == 2 else values[:, :, :3].max(2)
        return np.asarray((values != 0) & ~(void & (values == _VOID)))
    return None


def of_picture(known: Mapping[str, T], picture: Path) -> T | None:
    """Return what is known of a picture, by the name of its file, with or without the ending."""
    if picture.name in known:
        return known[picture.name]
    return next((value for name, value in known.items() if Path(name).stem == picture.stem), None)


def mask_in_input(mask: NDArray[np.bool_], preprocessing: Preprocessing) -> NDArray[np.bool_]:
    """Put a mask ``(H, W)`` where the network sees it: ``(h, w)``, what is inside for the larger part."""
    picture = np.repeat(255 * mask.astype(np.uint8)[:, :, None], 3, axis=2)
    channels = len(preprocessing.mean)
    plain = replace(preprocessing, mean=(0.0,) * channels, std=(1.0,) * channels)
    return np.asarray(plain(picture)[0].numpy() > 0.5)


def boxes_in_input(
    boxes: Sequence[Box], preprocessing: Preprocessing, size: tuple[int, int], input_size: tuple[int, int]
) -> NDArray[np.float64]:
    """Put boxes where the network sees them: ``(K, 4)``; what is cut off is left out, boxes outside altogether.

    Args:
        boxes: in pixels of the picture.
        preprocessing: from the picture to the input.
        size: height and width of the picture.
        input_size: height and width of the input.
    """
    vertical, horizontal = (_line(preprocessing, size, input_size, axis) for axis in (0, 1))
    found = []
    for box in boxes:
        x1, y1, x2, y2 = box.corners
        seen = [
            min(max(offset + slope * value, 0.0), float(length))
            for (slope, offset), value, length in (
                (horizontal, x1, input_size[1]),
                (vertical, y1, input_size[0]),
                (horizontal, x2, input_size[1]),
                (vertical, y2, input_size[0]),
            )
        ]
        if seen[0] < seen[2] and seen[1] < seen[3]:
            found.append(seen)
    return np.array(found, dtype=np.float64).reshape(-1, 4)


def _line(
    preprocessing: Preprocessing, size: tuple[int, int], input_size: tuple[int, int], axis: int
) -> tuple[float, float]:
    """Return slope and offset from the picture's coordinates to the input's: what `to_picture` makes of a ramp."""
    length = input_size[axis]
    ramp = np.arange(length) + 0.5
    values = np.broadcast_to(ramp[:, None] if axis == 0 else ramp[None, :], input_size)
    back = preprocessing.to_picture(values, size).astype(np.float64)
    lines = back if axis == 0 else back.T  # (length, others); where the network never looked all is NaN
    line = lines[:, np.flatnonzero(~np.isnan(lines).all(0))[:1]].mean(1)
    places = np.flatnonzero((line > ramp[0]) & (line < ramp[-1]))  # beyond the outer centres it is flat
    if len(places) < 2:  # of a picture of a few pixels
        return length / size[axis], 0.0
    first, last = places[0], places[-1]
    slope = (line[last] - line[first]) / (last - first)
    return float(slope), float(line[first] - slope * (first + 0.5))


def _voc(path: Path) -> Iterator[tuple[str, Box]]:
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is no XML that can be read: {error}") from error
    name = root.findtext("filename") or f"{path.stem}"
    for entry in root.iter("object"):
        corners = [entry.findtext(f"bndbox/{corner}") for corner in ("xmin", "ymin", "xmax", "ymax")]
        x1, y1, x2, y2 = _numbers(corners, path)
        yield name, Box((x1 - 1, y1 - 1, x2, y2), entry.findtext("name"))


def _coco(path: Path) -> Iterator[tuple[str, Box]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        names = {image["id"]: image["file_name"] for image in data["images"]}
        labels = {category["id"]: category["name"] for category in data.get("categories", [])}
        found = [
            (names[each["image_id"]], each["bbox"], labels.get(each.get("category_id"))) for each in data["annotations"]
        ]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} has not the form of COCO's annotations (images with id and file_name, annotations with image_id "
            f"and bbox): {type(error).__name__} {error}"
        ) from error
    for name, corners, label in found:
        x, y, width, height = _numbers(corners, path)
        yield str(name), Box((x, y, x + width, y + height), label)


def _csv_boxes(path: Path) -> Iterator[tuple[str, Box]]:
    for line, row in _csv_rows(path):
        name = _cell(row, _FILE)
        corners = next(([row[each] for each in names] for names in _CORNERS if set(names) <= set(row)), None)
        if name is None or corners is None:
            raise ValueError(
                f"{path}, line {line}: it must have file, x1, y1, x2, y2 (and label); the columns are {', '.join(row)}"
            )
        x1, y1, x2, y2 = _numbers(corners, path)
        yield name, Box((x1, y1, x2, y2), _cell(row, _LABEL))


def _csv_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path")
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        return [
            (reader.line_num, {str(key).strip().lower(): value or "" for key, value in row.items() if key is not None})
            for row in reader
        ]


def _cell(row: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((row[name].strip() for name in names if row.get(name, "").strip()), None)


def _numbers(values: Any, path: Path) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(np.isfinite(numbers)):
        raise ValueError(f"{path}: {values!r} is no box; it must be four numbers")
    return numbers
