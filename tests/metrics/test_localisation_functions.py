"""Pointing hits, energy and overlap of maps with masks and boxes: numbers by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pytorch_grad_cam.metrics.localisation import box_ious, energy_inside, mask_ious, masks_of_boxes, pointing_hits

nan = np.nan
MAPS = np.zeros((3, 4, 6))
MAPS[0, 1, 2], MAPS[0, 3, 5], MAPS[0, 0, 0] = 4, 1, -7  # the hottest place lies at row 1, column 2
MAPS[1, 2, 1], MAPS[1, 2, 4] = 2, 2  # two of them
MAPS[2] = 3  # none
MASKS = masks_of_boxes([[2, 1, 4, 3], [[0, 2, 2, 4]], [0, 0, 6, 4]], (4, 6))


def test_masks_of_boxes() -> None:
    expected = np.zeros((4, 6), bool)
    expected[1:3, 2:4] = True
    assert np.array_equal(MASKS[0], expected)
    assert MASKS.sum((1, 2)).tolist() == [4, 4, 24]
    two = masks_of_boxes([torch.tensor([[0.0, 0, 1, 1], [4.4, 1, 5.6, 9]])], (4, 6))[0]
    assert np.argwhere(two).tolist() == [[0, 0], [1, 4], [1, 5], [2, 4], [2, 5], [3, 4], [3, 5]]
    assert not masks_of_boxes([[]], (2, 2)).any()
    with pytest.raises(ValueError, match="image 1 has a box that is none"):
        masks_of_boxes([[0, 0, 1, 1], [3, 0, 3, 1]], (4, 6))


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_pointing_hits(kind: Any) -> None:
    found = pointing_hits(kind(MAPS), kind(MASKS))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [1, 0.5, nan])
    np.testing.assert_array_equal(pointing_hits(kind(5 * MAPS - 2), kind(MASKS)), found)  # any scale
    far = masks_of_boxes([[4, 3, 5, 4]] * 2, (4, 6))  # row 3, column 4: sqrt(8) from (1, 2), 1 from (2, 4), sqrt(10)
    for tolerance, expected in [(0, [0, 0]), (1, [0, 0.5]), (2.9, [1, 0.5]), (3.2, [1, 1])]:
        np.testing.assert_array_equal(pointing_hits(kind(MAPS[:2]), kind(far), tolerance), expected)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_energy_inside(kind: Any) -> None:
    np.testing.assert_allclose(energy_inside(kind(MAPS), kind(MASKS)), [0.8, 0.5, 1])
    uniform = np.ones((2, 4, 6))
    np.testing.assert_allclose(energy_inside(kind(uniform), kind(MASKS[:2])), [4 / 24, 4 / 24])
    np.testing.assert_array_equal(energy_inside(kind(-uniform), kind(MASKS[:2])), [nan, nan])
    np.testing.assert_allclose(energy_inside(kind(MASKS * 1.0), kind(MASKS)), [1, 1, 1])


def test_overlap_of_masks() -> None:
    maps = np.zeros((3, 4, 6))
    maps[0, 1:3, 3:6], maps[0, 0, 0], maps[1, 2:, :2] = 1, 0.4, 0.2
    np.testing.assert_allclose(mask_ious(maps, MASKS), [2 / 8, 1, nan])
    np.testing.assert_allclose(mask_ious(maps, MASKS, threshold=0.3), [2 / 9, 1, nan])
    np.testing.assert_allclose(mask_ious(maps, MASKS, threshold=0.3, components="largest"), [2 / 8, 1, nan])


def test_overlap_of_boxes() -> None:
    maps = np.zeros((4, 4, 6))
    maps[0, 1:3, 3:6], maps[0, 0, 0], maps[1, 2:, :2], maps[3, 0, 0] = 1, 0.4, 0.2, 1
    boxes = [[2, 1, 4, 3], [[4, 0, 6, 2], [0, 2, 2, 4.5]], [0, 0, 1, 1], []]
    np.testing.assert_allclose(box_ious(maps, boxes), [2 / 8, 4 / 5, nan, nan])
    with pytest.raises(ValueError, match="boxes for 1 images, but 4 maps"):
        box_ious(maps, boxes[:1])


def test_what_means_nothing_is_nan_and_what_was_not_seen_counts_nothing() -> None:
    empty = np.zeros_like(MASKS)
    for measure in (pointing_hits, energy_inside, mask_ious):
        np.testing.assert_array_equal(measure(MAPS, empty), [nan] * 3)  # type: ignore[operator]
    np.testing.assert_array_equal(pointing_hits(np.full_like(MAPS, nan), MASKS), [nan] * 3)
    unseen = MAPS[:1].copy()
    unseen[0, 3] = nan
    np.testing.assert_array_equal(pointing_hits(unseen, MASKS[:1]), [1])
    np.testing.assert_array_equal(energy_inside(unseen, MASKS[:1]), [1])
    line = np.array([[0.0, 1, 3]])
    np.testing.assert_array_equal(pointing_hits(line, line > 2), [1])  # signals too
    with pytest.raises(ValueError, match=r"maps \(4, 6\) and regions \(3, 4, 6\) must both be \(B, \*S\)"):
        energy_inside(MAPS[0], MASKS)
