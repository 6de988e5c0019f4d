"""Slices of a volume: which, which way up, how large, and with which part of the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytorch_grad_cam.visualization.volumes import show_cam_on_volume

SHAPE = (6, 8, 10)


def only(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The one slice of a sheet with one slice, without what lies beside it."""
    return picture[6 : 6 + side, 6 : 6 + side]


def corner_of(picture: NDArray[np.uint8]) -> tuple[str, str]:
    """In which quarter of a slice it is brightest."""
    rows, columns = np.nonzero(picture.max(2) == picture.max())
    return (
        "top" if rows.mean() < len(picture) / 2 else "bottom",
        "left" if columns.mean() < picture.shape[1] / 2 else "right",
    )


def spot(where: tuple[int, int, int], shape: tuple[int, int, int] = (9, 9, 9)) -> NDArray[np.float32]:
    volume = np.zeros(shape, np.float32)
    volume[where] = 1
    return volume


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_a_slice_is_shown_as_the_array_has_it(axis: int) -> None:
    volume = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8)
    volume[0, 0, :2] = 0, 255
    for index in (0, 3, 7):
        picture = show_cam_on_volume(volume, np.zeros((8, 8, 8)), axis=axis, slices=[index], image_weight=1, side=8)
        assert np.array_equal(only(picture, 8), np.repeat(np.take(volume, index, axis)[:, :, None], 3, 2))


# A spot in a corner of the head; where radiologists look for it. The patient's right is on the left.
HEAD = [
    # axes grow towards, axis, where the spot is, at the top (or bottom) left (or right)
    ("RAS", 2, "RA", ("top", "left")),
    ("RAS", 2, "LP", ("bottom", "right")),
    ("LPS", 2, "RA", ("top", "left")),
    ("LIA", 1, "LA", ("top", "right")),  # axial slices are cut across the axis that points to I or S
    ("RAS", 1, "RS", ("top", "left")),
    ("LIA", 2, "RI", ("bottom", "left")),
    ("SLP", 2, "LS", ("top", "right")),
    ("RAS", 0, "AS", ("top", "left")),
    ("LIA", 0, "PS", ("top", "right")),
    ("PSR", 2, "AI", ("bottom", "left")),
]


@pytest.mark.parametrize(("orientation", "axis", "place", "seen"), HEAD)
def test_heads_are_shown_as_radiologists_look_at_them(
    orientation: str, axis: int, place: str, seen: tuple[str, str]
) -> None:
    where = [4, 4, 4]
    for letter in place:
        if letter in orientation:
            where[orientation.index(letter)] = 8  # the end that the axis grows towards
        else:
            opposite = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}[letter]
            where[orientation.index(opposite)] = 0
    head = spot((where[0], where[1], where[2]))
    options: dict[str, Any] = {"axis": axis, "slices": [4], "orientation": orientation, "side": 90}
    picture = show_cam_on_volume(head, np.zeros_like(head), image_weight=1, **options)
    assert corner_of(only(picture, 90)) == seen
    with_map = show_cam_on_volume(np.zeros_like(head), head, image_weight=0, signed=True, **options)
    red = only(with_map, 90).copy()
    red[:, :, 0] = 0  # what is white keeps its green and blue, red loses all
    assert corner_of(255 - np.max(red, 2, keepdims=True).repeat(3, 2)) == seen


def test_spacing_gives_the_true_shape() -> None:
    options: dict[str, Any] = {"axis": 1, "slices": 1, "image_weight": 1, "window": (0, 1), "side": 100}
    volume = np.full(SHAPE, 0.5)
    for spacing, high, wide in (((1, 1, 1), 60, 100), ((5, 1, 3), 100, 100), ((2.5, 9, 1), 100, 67)):
        picture = only(show_cam_on_volume(volume, np.zeros(SHAPE), spacing=spacing, **options), 100)
        gray = (picture == 128).all(2)
        assert (gray.any(1).sum(), gray.any(0).sum()) == (high, wide)


def shown(picture: NDArray[np.uint8], count: int, side: int) -> list[int]:
    """The gray values of the slices of a volume whose slices are evenly gray, from a sheet of one line."""
    return [int(picture[6 + side // 2, 6 + index * (side + 6) + side // 2, 0]) for index in range(count)]


def test_which_slices_are_shown() -> None:
    volume = np.broadcast_to(np.arange(10)[:, None, None], (10, 6, 6)).astype(np.float32)
    heat = np.zeros((10, 6, 6), np.float32)
    heat[7], heat[2], heat[4] = 1, 0.8, -0.9

    def indices(**options: Any) -> list[int]:
        count = options.pop("count", 3)
        picture = show_cam_on_volume(
            volume, heat, signed=True, image_weight=1, window=(0, 255), side=40, columns=count, **options
        )
        assert picture.shape[1] > count * 46
        return shown(picture, count, 40)

    assert indices(slices=3) == [1, 5, 8]  # the middles of three equal parts
    assert indices(slices=3, choose="evidence") == [2, 4, 7]
    assert indices(slices=1, choose="evidence", count=1) == [7]
    assert indices(slices=[9, -2, 0]) == [9, 8, 0]
    assert indices(slices=99, count=10) == list(range(10))


def test_every_slice_gets_its_part_of_the_map() -> None:
    heat = np.zeros((4, 4, 4), np.float32)
    heat[3] = 1
    picture = show_cam_on_volume(
        torch.zeros(1, 1, 8, 8, 8), torch.from_numpy(heat), slices=[0, 7], image_weight=0, side=32, columns=2
    )
    assert picture[20, 20].tolist() == [0, 0, 128]
    assert picture[20, 20 + 38].tolist() == [128, 0, 0]
    assert (picture[:40, 6 + 2 * 38 :] == (128, 0, 0)).all(2).any()  # the colour bar


def test_values_of_any_range_are_made_visible() -> None:
    volume = np.random.default_rng(1).normal(size=(5, 5, 5)) * 1e4
    volume[2, 0, 0], volume[2, 0, 1] = np.nan, np.inf
    volume[2, 1, 0], volume[2, 1, 1] = -1e5, 1e5
    picture = only(show_cam_on_volume(volume, np.zeros(volume.shape), slices=[2], image_weight=1, side=5), 5)
    assert picture[:2, :2, 0].tolist() == [[0, 255], [0, 255]]
    assert not show_cam_on_volume(np.full((3, 3, 3), 7.0), np.zeros((3, 3, 3)), slices=1, image_weight=1)[
        9:20, 9:20
    ].any()


@pytest.mark.parametrize(
    ("volume", "map_", "options", "error", "message"),
    [
        (np.zeros((2, 4, 4, 4)), np.zeros((4, 4, 4)), {}, ValueError, r"not \(2, 4, 4, 4\); give one volume of one"),
        (np.zeros((4, 4, 4)), np.zeros((1, 4, 4, 4)), {}, ValueError, r"map must have shape \(d, h, w\)"),
        (np.zeros((4, 4, 4)), np.full((4, 4, 4), -1), {}, ValueError, r"range \[0, 1\]"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4, 4)), {"axis": 3}, ValueError, "axis=3 is none"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4, 4)), {"slices": 0}, ValueError, "slices=0 must be"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4, 4)), {"slices": [1, 4]}, IndexError, r"slices \[4\] do not exist"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4, 4)), {"choose": "best"}, ValueError, "choose 'evenly' or 'evidence'"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4, 4)), {"spacing": (1, 0, 1)}, ValueError, "three positive lengths"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4, 4)), {"orientation": "RLS"}, ValueError, "one letter per axis"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4, 4)), {"window": (1, 1)}, ValueError, "the lower one first"),
    ],
)
def test_what_cannot_be_shown(
    volume: Any, map_: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        show_cam_on_volume(volume, map_, **options)
