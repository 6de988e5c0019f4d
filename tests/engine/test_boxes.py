"""Masks and boxes from maps with blobs whose places are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.boxes import Box, Threshold, boxes_from_map, maps_in_boxes, mask_from_map
from pytorch_grad_cam.visualization.overlay import draw_boxes


@pytest.fixture
def blobs() -> NDArray[np.float32]:
    """A large blob of 0.6, a small one of 1 that touches it nowhere, and one pixel of 0.3."""
    map = np.zeros((20, 30), dtype=np.float32)
    map[2:8, 3:12] = 0.6
    map[12:15, 20:24] = 1.0
    map[18, 1] = 0.3
    return map


LARGE, SMALL = Box(3, 2, 12, 8, 54, pytest.approx(0.6)), Box(20, 12, 24, 15, 12, 1.0)  # type: ignore[arg-type]


def test_boxes_cover_the_blobs_largest_first(blobs: NDArray[np.float32]) -> None:
    assert boxes_from_map(blobs) == [LARGE, SMALL]
    assert boxes_from_map(blobs, components="largest") == [LARGE]
    assert boxes_from_map(torch.from_numpy(blobs), 0.7) == [SMALL]
    assert boxes_from_map(blobs, 0.3) == [LARGE, SMALL, Box(1, 18, 2, 19, 1, pytest.approx(0.3))]  # type: ignore[arg-type]
    assert boxes_from_map(7 * blobs)[1].peak == 7  # a share of the maximum, whatever that is


def test_masks_are_the_pixels_in_the_boxes(blobs: NDArray[np.float32]) -> None:
    mask = mask_from_map(blobs)
    assert mask.dtype == bool
    assert np.array_equal(mask, blobs >= 0.5)
    assert np.array_equal(mask_from_map(blobs, components="largest"), (blobs > 0.5) & (blobs < 0.9))


@pytest.mark.parametrize("threshold", ["p80", "p97", "otsu"])
def test_other_thresholds(blobs: NDArray[np.float32], threshold: str) -> None:
    expected = {"p80": blobs > 0, "p97": blobs >= 0.6, "otsu": blobs > 0.5}[threshold]
    assert np.array_equal(mask_from_map(blobs, threshold), expected)


def test_otsu_splits_two_groups_where_their_variance_is_least() -> None:
    values = np.concatenate([np.linspace(0.1, 0.3, 60), np.linspace(0.7, 0.8, 40)]).reshape(10, 10)
    assert mask_from_map(values, "otsu").sum() == 40


def test_diagonal_neighbours_belong_together() -> None:
    assert boxes_from_map(np.eye(4), components="all") == [Box(0, 0, 4, 4, 4, 1.0)]


def test_nothing_positive_and_nothing_seen_give_no_box() -> None:
    for map in (np.zeros((4, 4)), np.full((4, 4), -1.0), np.full((4, 4), np.nan)):
        assert boxes_from_map(map, components="all") == []
        assert not mask_from_map(map, "p50").any()
    half = np.full((4, 4), np.nan)
    half[1, 2] = 0.2
    assert boxes_from_map(half) == [Box(2, 1, 3, 2, 1, 0.2)]


def test_boxes_lie_in_the_pixels_of_the_picture() -> None:
    map = np.zeros((8, 8))
    map[2:4, 5:7] = 1
    (box,) = boxes_from_map(map, size=(80, 160))
    assert abs(box.left - 100) <= 10
    assert abs(box.right - 140) <= 10
    assert abs(box.top - 20) <= 5
    assert abs(box.bottom - 40) <= 5
    # A network that sees the centred square of a wide picture.
    heat = Preprocessing(resize=40, crop=40).to_picture(map, (80, 160))
    (box,) = boxes_from_map(heat)
    assert abs(box.left - (40 + 50)) <= 5
    assert abs(box.right - (40 + 70)) <= 5


@pytest.mark.parametrize("threshold", [0, 1.5, -0.1, "p100", "p", "p-3", "half", "0.4"])
def test_thresholds_that_are_none(threshold: Threshold) -> None:
    with pytest.raises(ValueError, match="give a share of the maximum"):
        boxes_from_map(np.ones((2, 2)), threshold)


def test_other_mistakes() -> None:
    with pytest.raises(ValueError, match=r"not \(1, 4, 4\); give one map"):
        boxes_from_map(np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match="choose 'largest' or 'all'"):
        boxes_from_map(np.ones((2, 2)), components="biggest")  # type: ignore[arg-type]


def test_drawn_boxes_are_outlines() -> None:
    picture = np.full((20, 30, 3), 100, dtype=np.uint8)
    found = draw_boxes(picture, [Box(4, 3, 12, 9, 1, 1.0)], colour=(255, 0, 0), width=2)
    drawn = (found == (255, 0, 0)).all(2)
    expected = np.zeros((20, 30), dtype=bool)
    expected[3:9, 4:12] = True
    expected[5:7, 6:10] = False
    assert np.array_equal(drawn, expected)
    edge = np.zeros((20, 30), dtype=bool)  # one pixel on both sides of the line: inside, that is all there is
    edge[2:10, 3:13] = True
    edge &= ~expected
    assert (found[edge] == 0).all()
    assert (found[~drawn & ~edge] == 100).all()
    assert (picture == 100).all()
    tiny = draw_boxes(picture, [Box(4, 3, 5, 4, 1, 1.0)], colour=(255, 0, 0), width=3)
    assert (tiny == (255, 0, 0)).all(2).sum() == 1
    assert (tiny != picture).any(2).sum() == 9


@pytest.mark.parametrize("colour", [(255, 40, 40), (255, 255, 255), (0, 0, 0), (0, 0, 90)])
def test_a_box_shows_on_a_picture_of_its_own_colour(colour: tuple[int, int, int]) -> None:
    picture = np.full((20, 30, 3), colour, dtype=np.uint8)
    found = draw_boxes(picture, [Box(0, 3, 12, 9, 1, 1.0), Box(8, 5, 30, 20, 1, 1.0)], colour=colour)
    changed = np.abs(found.astype(int) - picture).max(2)
    assert changed[2, 5] > 160
    assert changed[3, 5] == 0  # the line
    assert changed[4, 5] > 160
    assert changed[8, 8] == changed[5, 11] == 0  # where one box crosses the other, no edge covers a line


def test_a_map_is_stretched_inside_each_box() -> None:
    map = np.arange(24, dtype=np.float64).reshape(4, 6) / 100
    map[0, 5] = np.nan
    found = maps_in_boxes(map, [(0, 0, 2, 2), Box(3, 2, 6, 4, 6, 0.2)])
    assert found.dtype == np.float32
    expected = np.zeros((4, 6))
    expected[:2, :2] = np.array([[0, 1], [6, 7]]) / 7
    expected[2:, 3:] = np.array([[0, 1, 2], [6, 7, 8]]) / 8
    expected[0, 5] = np.nan
    np.testing.assert_allclose(found, expected, atol=1e-6)
    over = maps_in_boxes(torch.from_numpy(map), [torch.tensor([0.4, -3.0, 1.6, 2.0]), (0, 0, 3, 2)])
    expected = np.zeros((4, 6))
    expected[:2, :3] = np.maximum(np.array([[0, 1, 2], [6, 7, 8]]) / 8, [[0, 1 / 7, 0], [6 / 7, 1, 0]])
    expected[0, 5] = np.nan
    np.testing.assert_allclose(over, expected, atol=1e-6)
    assert not maps_in_boxes(np.ones((3, 3)), [(0, 0, 2, 2), (7, 7, 9, 9)]).any()
    partly = np.array([[np.nan, 1.0, 3.0]])
    np.testing.assert_array_equal(maps_in_boxes(partly, [(0, 0, 3, 1)]), [[np.nan, 0, 1]])
    for wrong in ([(1, 1, 1, 3)], [(0, 0, 2)]):
        with pytest.raises(ValueError, match="is none; give left, top, right, bottom"):
            maps_in_boxes(map, wrong)
