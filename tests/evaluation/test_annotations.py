"""Boxes, masks and classes from files, and where the network sees them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.evaluation.annotations import (
    Box,
    boxes_in_input,
    find_mask,
    mask_in_input,
    of_picture,
    read_boxes,
    read_labels,
)

VOC = """<annotation><filename>a.jpg</filename><object><name>dog</name>
<bndbox><xmin>1</xmin><ymin>11</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation>"""
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg"}],
    "categories": [{"id": 3, "name": "dog"}],
    "annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 10, 20, 20]}],
}


def test_three_forms_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(VOC)
    (tmp_path / "a.json").write_text(json.dumps(COCO))
    (tmp_path / "a.csv").write_text("File, x1,y1,x2,y2,label\nphotos/a.jpg,0,10,20,30,dog\n".replace(", ", ","))
    expected = {"a.jpg": [Box((0.0, 10.0, 20.0, 30.0), "dog")]}
    for path in (tmp_path, tmp_path / "a.xml", tmp_path / "a.json", tmp_path / "a.csv"):
        assert read_boxes(path) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "is no file of boxes"),
        ("a.json", "{}", "has not the form of COCO's annotations"),
        ("a.json", "[", "has not the form of COCO's annotations"),
        ("a.xml", "<a", "is no XML"),
        ("a.xml", VOC.replace(">11<", ">x<"), "is no box; it must be four numbers"),
        ("a.csv", "file,x1,y1,x2,y2\na.jpg,5,5,5,9\n", "must have x1 < x2"),
        ("a.csv", "file,x,y\na.jpg,5,5\n", "line 2: it must have file, x1, y1, x2, y2"),
        ("a.csv", "file,x1,y1,x2,y2\n", "has no boxes"),
    ],
)
def test_what_is_no_file_of_boxes(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_boxes(tmp_path / name)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file of boxes"):
        read_boxes(tmp_path / "b.csv")
    with pytest.raises(ValueError, match=r"has no \.xml files"):
        read_boxes(tmp_path)


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,class\nx/a.jpg,tabby\nb.png,3\n")
    labels = read_labels(path)
    assert labels == {"a.jpg": "tabby", "b.png": "3"}
    assert of_picture(labels, Path("other/a.png")) == "tabby"  # by the name without its ending
    assert of_picture(labels, Path("c.jpg")) is None
    path.write_text("image\na.jpg\n")
    with pytest.raises(ValueError, match="it must name a file and its label; the columns are image"):
        read_labels(path)


def test_masks(tmp_path: Path) -> None:
    values = np.zeros((4, 6), np.uint8)
    values[1, 2:5] = [1, 15, 255]
    palette = Image.fromarray(values, "L").convert("P")
    palette.putdata(values.ravel().tolist())
    palette.save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "b_mask.png")
    found = find_mask(tmp_path, Path("photos/a.jpg"))
    assert found is not None
    assert np.argwhere(found).tolist() == [[1, 2], [1, 3]]  # 255 is unknown where there is a palette
    gray = find_mask(tmp_path, Path("photos/b.jpg"))
    assert gray is not None
    assert gray.sum() == 3
    assert find_mask(tmp_path, Path("c.jpg")) is None
    (tmp_path / "d.png").write_bytes(b"no")
    with pytest.raises(ValueError, match="is no PNG file that can be read"):
        find_mask(tmp_path, Path("d.jpg"))


@pytest.mark.parametrize(
    ("preprocessing", "size"),
    [
        (Preprocessing(resize=64, crop=56), (120, 90)),
        (Preprocessing(resize=(48, 72), crop=None), (100, 100)),
        (Preprocessing(resize=None, crop=None), (33, 47)),
        (Preprocessing(resize=40, crop=64), (50, 80)),  # black around it
    ],
)
def test_boxes_and_masks_lie_where_the_network_sees_them(preprocessing: Preprocessing, size: tuple[int, int]) -> None:
    """A picture that is white inside of a box and black elsewhere is white there in the input, to half a pixel."""
    box = Box((size[1] * 0.3, size[0] * 0.4, size[1] * 0.7, size[0] * 0.75))
    x1, y1, x2, y2 = (round(value) for value in box.corners)
    mask = np.zeros(size, bool)
    mask[y1:y2, x1:x2] = True
    picture = np.repeat(255 * mask[:, :, None].astype(np.uint8), 3, axis=2)
    seen = preprocessing(picture)[0].numpy()
    white = seen > (seen.max() + seen.min()) / 2
    assert np.array_equal(mask_in_input(mask, preprocessing), white)
    ((left, top, right, bottom),) = boxes_in_input([Box((x1, y1, x2, y2))], preprocessing, size, white.shape)
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    assert abs(top - rows[0]) <= 0.75
    assert abs(bottom - rows[-1] - 1) <= 0.75
    assert abs(left - columns[0]) <= 0.75
    assert abs(right - columns[-1] - 1) <= 0.75


def test_geometry_by_hand() -> None:
    """120 x 90 to 64 at the shorter side, and its 56 x 56 in the middle: x * 64 / 90 - 4, y * 85 / 120 - 14."""
    preprocessing = Preprocessing(resize=64, crop=56)
    boxes = [Box((30.0, 50.0, 60.0, 80.0)), Box((0.0, 0.0, 90.0, 120.0)), Box((0.0, 0.0, 5.0, 5.0))]
    found = boxes_in_input(boxes, preprocessing, (120, 90), (56, 56))
    assert len(found) == 2  # the last one lies outside
    by_hand = [30 * 64 / 90 - 4, 50 * 85 / 120 - 14, 60 * 64 / 90 - 4, 80 * 85 / 120 - 14]
    assert np.allclose(found[0], by_hand, atol=1e-3)
    assert found[1].tolist() == [0, 0, 56, 56]
