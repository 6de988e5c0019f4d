"""Colours of signed maps, and the overlays that are made of them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pytorch_grad_cam.visualization.colormaps import DIVERGING, apply_colormap
from pytorch_grad_cam.visualization.overlay import heat_map, show_signed_cam_on_image
from pytorch_grad_cam.visualization.sheet import colour_bar, labelled_grid

HAND = [(-1, (0, 0, 255)), (-0.5, (128, 128, 255)), (0, (255, 255, 255)), (0.2, (255, 204, 204)), (1, (255, 0, 0))]


def test_blue_white_and_red() -> None:
    values, colours = zip(*HAND, strict=True)
    assert list(map(tuple, apply_colormap(values, DIVERGING).tolist())) == list(colours)
    assert apply_colormap([[np.nan]], DIVERGING).tolist() == [[[255, 255, 255]]]


def test_other_colours_are_opencv_s() -> None:
    values = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    expected = cv2.applyColorMap((255 * values).astype(np.uint8).reshape(-1, 1), cv2.COLORMAP_MAGMA)
    assert np.array_equal(apply_colormap(values, cv2.COLORMAP_MAGMA), expected[:, 0, ::-1].reshape(3, 4, 5, 3))


def test_the_signed_overlay_is_a_true_blend() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    mask = np.tile(np.float32([value for value, _ in HAND]), (5, 1))
    heat = np.tile(np.array([colour for _, colour in HAND], float), (5, 1, 1))
    for weight in (0.0, 0.3, 0.5):
        found = show_signed_cam_on_image(picture, torch.from_numpy(mask), use_rgb=True, image_weight=weight)
        assert np.abs(found - (weight * picture + (1 - weight) * heat)).max() <= 0.51
    assert np.array_equal(show_signed_cam_on_image(picture, mask, image_weight=1.0), picture)
    bgr = show_signed_cam_on_image(picture[:, :, ::-1], mask)
    assert np.array_equal(bgr[:, :, ::-1], show_signed_cam_on_image(picture, mask, use_rgb=True))


def test_signed_masks_are_resized_and_nan_leaves_the_picture() -> None:
    mask = np.array([[-1.0, 1.0]])
    found = show_signed_cam_on_image(np.zeros((2, 8), np.uint8), mask, True, 0)
    assert found[0, 0].tolist() == [0, 0, 255]
    assert found[0, -1].tolist() == [255, 0, 0]
    assert found[0, 3].tolist() == [191, 191, 255]  # -1/4: bilinear between -1 and 1
    unseen = show_signed_cam_on_image(np.full((2, 2), 7, np.uint8), [[np.nan, 1], [0, -1]], True)
    assert unseen[0, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("mask", "options", "message"),
    [
        (np.full((4, 4), 1.2), {}, r"range \[-1, 1\], not 1.2..1.2; divide it by its largest absolute value"),
        (np.full((4, 4), -1.2), {}, r"range \[-1, 1\]"),
        (np.zeros((1, 4, 4)), {}, "give one map"),
        (np.zeros((4, 4)), {"image_weight": -0.1}, "image_weight must be in the range"),
    ],
)
def test_what_cannot_be_blended(mask: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        show_signed_cam_on_image(np.zeros((4, 4)), mask, **options)


def test_bars_grids_and_heat_maps_know_signed_maps() -> None:
    bar = colour_bar(101, DIVERGING, width=5)
    for row, (_, colour) in zip((100, 75, 50, 40, 0), HAND, strict=True):
        assert np.abs(bar[row, 0].astype(int) - colour).max() <= 1
    usual = colour_bar(101, cv2.COLORMAP_JET, width=5)
    assert not np.array_equal(bar[:, 8:], usual[:, 8:, :][:, : bar.shape[1] - 8])  # other numbers beside it
    assert heat_map([[-1.0, 1.0]], DIVERGING).tolist() == [[[0, 0, 255], [255, 0, 0]]]
    with pytest.raises(ValueError, match=r"range \[0, 1\]"):
        heat_map([[-1.0, 1.0]])
    grid = labelled_grid([[np.zeros((8, 8))]], ["a"], ["b"], side=40, colormap=DIVERGING)
    assert ((grid == (255, 0, 0)).all(2)).any()
