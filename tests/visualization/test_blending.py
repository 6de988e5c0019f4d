"""Three ways to lay a map over a picture, and the colours that are named for people who cannot tell all apart."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pytorch_grad_cam.common.drawing_names import BLENDS, COLORMAPS, PERCEPTUAL, SIGNED_COLORMAPS
from pytorch_grad_cam.visualization.blending import contour_cover
from pytorch_grad_cam.visualization.colormaps import (
    DIVERGING,
    PURPLE_ORANGE,
    apply_colormap,
    clip_outliers,
    colormap_number,
)
from pytorch_grad_cam.visualization.overlay import show_cam_on_image, show_signed_cam_on_image

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (60, 80, 3), dtype=np.uint8)


def cone(side: int, radius: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A map that falls from 1 in the middle to 0 at a radius, and the distance of each pixel to the middle."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    distance = np.hypot(y, x)
    return np.clip(1 - distance / radius, 0, 1).astype(np.float32), distance


def test_alpha_is_as_opaque_as_the_map_is_strong() -> None:
    mask = RANDOM.random(PICTURE.shape[:2]).astype(np.float32)
    mask[:10] = 0
    mask[10:12] = 1
    mask[-5:] = np.nan
    heat = cv2.applyColorMap((255 * np.nan_to_num(mask)).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[:, :, ::-1]
    found = show_cam_on_image(PICTURE, mask, True, "viridis", 0.3, blend="alpha")
    opacity = 0.7 * np.nan_to_num(mask).astype(np.float64)[:, :, None]
    assert np.abs(found - ((1 - opacity) * PICTURE + opacity * heat)).max() <= 0.51
    assert np.array_equal(found[:10], PICTURE[:10])  # cold places stay as they are, bit for bit
    assert np.array_equal(found[-5:], PICTURE[-5:])
    classic = show_cam_on_image(PICTURE, mask, True, cv2.COLORMAP_VIRIDIS, 0.3)
    assert np.array_equal(found[10:12], classic[10:12])
    signed = show_signed_cam_on_image(PICTURE, -mask, True, 0.0, blend="alpha", colormap="purpleorange")
    assert np.abs(signed[10:12].astype(int) - (84, 39, 136)).max() <= 1
    assert np.array_equal(signed[:10], PICTURE[:10])
    bgr = show_cam_on_image(PICTURE[:, :, ::-1], mask, False, "viridis", 0.3, blend="alpha")
    assert np.array_equal(bgr[:, :, ::-1], found)
    assert bgr.flags.c_contiguous


def test_contours_lie_where_the_map_has_their_value() -> None:
    values, distance = cone(200, 80.0)
    for level in (0.2, 0.4, 0.6, 0.8):
        radius = 80 * (1 - level)
        rows, columns, edge, line = contour_cover(values, level, 3.0)
        assert np.abs(distance[rows, columns][line > 0] - radius).max() <= 2.05  # half of 3 pixels, and half a pixel
        assert line.sum() == pytest.approx(2 * np.pi * radius * 3, rel=0.03)
        assert edge.sum() == pytest.approx(2 * np.pi * radius * 9, rel=0.05)  # as wide on either side
        whole = np.zeros(values.shape)
        whole[rows, columns] = line
        assert (whole[np.abs(distance - radius) < 0.9] > 0.99).all()  # no gaps


def test_contours_leave_the_picture_between_them() -> None:
    values, distance = cone(200, 80.0)
    gray = np.full((200, 200, 3), 128, np.uint8)
    found = show_cam_on_image(gray, values, True, "viridis", 0.5, blend="contour")
    changed = (found != 128).any(2)
    radii = 80 * (1 - np.array([0.2, 0.4, 0.6, 0.8]))
    assert changed.any()
    assert np.abs(distance[changed][:, None] - radii).min(1).max() <= 1.5 * 1.5 + 0.55
    for level in (0.2, 0.4, 0.6, 0.8):
        colour = apply_colormap(np.float32(level), cv2.COLORMAP_VIRIDIS).astype(int)
        on_line = np.abs(distance - 80 * (1 - level)) < 0.15
        assert np.abs(found[on_line].astype(int) - colour).max() <= 2


@pytest.mark.parametrize(
    "values",
    [
        np.full((20, 20), 0.4, np.float32),  # exactly a level, everywhere
        np.zeros((20, 20), np.float32),
        np.full((20, 20), np.nan, np.float32),
        np.zeros((1, 1), np.float32),
        np.zeros((1, 30), np.float32),
    ],
)
def test_a_plateau_has_no_contour(values: NDArray[np.float32]) -> None:
    picture = np.full((*values.shape, 3), 77, np.uint8)
    assert np.array_equal(show_cam_on_image(picture, values, True, blend="contour"), picture)


def test_contours_of_signed_maps_tell_for_from_against() -> None:
    values = np.tile(np.linspace(-1, 1, 200, dtype=np.float32), (20, 1))
    found = show_signed_cam_on_image(np.full((20, 200, 3), 128, np.uint8), values, True, blend="contour").astype(int)
    (columns,) = np.nonzero((found != 128).any((0, 2)))
    assert {round(5 * values[0, column]) for column in columns} == {-4, -3, -2, -1, 1, 2, 3, 4}
    red, blue = found[..., 0] - found[..., 2], found[..., 2] - found[..., 0]
    for level in (0.2, 0.8):
        column = int(np.abs(values[0] - level).argmin())
        assert red[:, column - 1 : column + 2].max() > 60
        assert blue[:, 199 - column - 1 : 199 - column + 2].max() > 60


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="blend='gray' is unknown; choose one of classic, alpha, contour"):
        show_cam_on_image(PICTURE, np.zeros((2, 2)), blend="gray")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown colormap 'viridos'; known: jet, turbo, viridis"):
        show_cam_on_image(PICTURE, np.zeros((2, 2)), colormap="viridos")
    assert next(iter(BLENDS)) == "classic"


# --- colours --------------------------------------------------------------------------------------------------------


def test_every_name_is_a_colormap() -> None:
    assert {name: colormap_number(name) for name in SIGNED_COLORMAPS} == {
        "bluered": DIVERGING,
        "purpleorange": PURPLE_ORANGE,
    }
    numbers = [colormap_number(name) for name in COLORMAPS]
    assert len(set(numbers)) == len(COLORMAPS)
    assert colormap_number("COLORMAP_JET") == cv2.COLORMAP_JET == colormap_number(2)


def linear(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """sRGB to linear light, IEC 61966-2-1."""
    values = colours / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def luminance(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE Y of sRGB."""
    y: NDArray[np.float64] = linear(colours) @ np.array([0.2126, 0.7152, 0.0722])
    return y


def test_perceptual_colours_become_lighter_all_the_way() -> None:
    steps = np.linspace(0, 1, 256, dtype=np.float32)
    for name in PERCEPTUAL:
        y = luminance(apply_colormap(steps, colormap_number(name)))
        assert (np.diff(np.convolve(y, np.ones(8) / 8, "valid")) > 0).all(), name
        assert y[-1] - y[0] > 0.5, name
    y = luminance(apply_colormap(steps, colormap_number("jet")))
    assert not (np.diff(np.convolve(y, np.ones(8) / 8, "valid")) > 0).all()  # which is why it is not among them


@pytest.mark.parametrize("name", SIGNED_COLORMAPS)
def test_signed_colours_differ_for_the_colour_blind(name: str) -> None:
    """Both dichromacies by Vienot, Brettel and Mollon 1999, doi:10.1002/(SICI)1520-6378(199908)24:4<243."""
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    protan = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    deutan = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    ends = linear(apply_colormap(np.array([-1, -0.5, 0.5, 1], np.float32), colormap_number(name)))
    for blind in (protan, deutan):
        seen = np.clip(ends @ (np.linalg.inv(to_lms) @ blind @ to_lms).T, 0, 1) ** (1 / 2.2)
        for against, speaking_for in ((0, 3), (1, 2)):
            assert np.abs(seen[against] - seen[speaking_for]).max() > 0.2, (name, blind)


# --- maps of single pixels ------------------------------------------------------------------------------------------


def test_outliers_are_cut_off() -> None:
    values = np.concatenate([np.linspace(-1, 1, 1000), [50.0, -80.0, np.nan]]).reshape(17, 59)
    limit = np.percentile(np.abs(values[np.isfinite(values)]), 99)
    found = clip_outliers(values)
    assert found.dtype == np.float32
    assert found.shape == values.shape
    expected = np.clip(values / limit, -1, 1)
    assert np.allclose(found, expected, atol=1e-6, equal_nan=True)
    assert clip_outliers([[0.0, 0.0]]).tolist() == [[0, 0]]
    sparse = np.zeros(1000)
    sparse[:2] = 1, -4
    assert clip_outliers(sparse, 50)[:3].tolist() == pytest.approx([0.4, -1, 0])  # half of what is not 0: 2.5
    for wrong in (0, 101, -1):
        with pytest.raises(ValueError, match="must be above 0 and at most 100"):
            clip_outliers(values, wrong)


def test_names_and_numbers_mean_the_same() -> None:
    mask: Any = RANDOM.random((6, 8))
    by_number = show_cam_on_image(PICTURE, mask, colormap=cv2.COLORMAP_MAGMA)
    assert np.array_equal(show_cam_on_image(PICTURE, mask, colormap="magma"), by_number)
