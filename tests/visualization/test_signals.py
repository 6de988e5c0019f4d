"""The coloured curve: where it runs, and in which colours."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytorch_grad_cam.visualization.signals import show_cam_on_signal

SIZE = (100, 401)
COLD, HOT = (0, 0, 128), (128, 0, 0)  # ends of JET


def panel(picture: NDArray[np.uint8], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """The one panel of a picture: what its dark frame encloses, without the frame."""
    dark = (picture == 60).all(2)
    top = int(np.argmax(dark.sum(1) > size[1] * 0.9))
    left = int(np.argmax(dark.sum(0) > size[0] * 0.9))
    return picture[top + 1 : top + size[0] - 1, left + 1 : left + size[1] - 1]


def coloured(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    found = np.nonzero((np.abs(picture.astype(int) - colour) <= 2).all(2))
    return found[0], found[1]


def test_the_curve_runs_where_the_signal_does() -> None:
    signal = np.linspace(-2, 2, 9)
    rows, columns = coloured(panel(show_cam_on_signal(signal, np.zeros(9), size=SIZE)), COLD)
    slope, start = np.polyfit(columns, rows, 1)
    # 8 pixels are left free inside the frame: from (7, 91) to (391, 7), without the frame's own pixel.
    assert slope == pytest.approx(-84 / 384, rel=0.02)
    assert start + slope * 7 == pytest.approx(91, abs=1.5)
    assert rows.min() < 9
    assert rows.max() > 88


def test_each_part_has_the_colour_of_its_map() -> None:
    map_ = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1.0])
    shown = panel(show_cam_on_signal(np.zeros(9), map_, size=SIZE))
    cold, hot = coloured(shown, COLD)[1], coloured(shown, HOT)[1]
    # Sample i lies at 7 + 48 i; the part between samples 3 and 4 has the colour of 0.5.
    assert (cold.min(), cold.max()) == (pytest.approx(7, abs=3), pytest.approx(7 + 3 * 48, abs=3))
    assert (hot.min(), hot.max()) == (pytest.approx(7 + 4 * 48, abs=3), pytest.approx(391, abs=3))
    between = shown[shown.shape[0] // 2, 7 + 3 * 48 + 24]
    assert np.array_equal(between, cv2.applyColorMap(np.uint8([[127]]), cv2.COLORMAP_JET)[0, 0, ::-1])


def test_signed_maps_are_blue_white_and_red() -> None:
    shown = panel(show_cam_on_signal(np.zeros(7), [-1, -1, 0, 0, 0, 1, 1], signed=True, size=SIZE))
    middle = shown[shown.shape[0] // 2]
    at = [7 + 64 * index + 32 for index in range(6)]
    assert middle[at].tolist() == [[0, 0, 255], [128, 128, 255], [255] * 3, [255] * 3, [255, 128, 128], [255, 0, 0]]
    assert (shown.max(2) < 160).sum() > 600  # the rim, without which white is not seen on white


def test_a_shorter_map_covers_the_signal_and_nan_is_gray() -> None:
    shown = panel(show_cam_on_signal(np.zeros(100), [1.0, 1.0, np.nan, np.nan], size=SIZE))
    middle = shown[shown.shape[0] // 2]
    assert tuple(middle[50]) == HOT
    assert tuple(middle[350]) == (160, 160, 160)


def test_where_the_signal_is_missing_there_is_no_curve() -> None:
    signal = np.sin(np.arange(90))
    signal[30:60] = np.nan
    signal[70] = np.inf
    _, columns = coloured(panel(show_cam_on_signal(signal, np.ones(90), size=SIZE)), HOT)
    gap = [7 + 384 * index / 89 for index in (30, 59)]
    assert not ((columns > gap[0]) & (columns < gap[1])).any()
    assert (columns < gap[0]).any()
    assert (columns > gap[1]).any()


def test_channels_lie_below_each_other_each_on_its_own_scale() -> None:
    one = show_cam_on_signal(np.linspace(0, 1, 50), np.ones(50), size=SIZE)
    both = show_cam_on_signal(
        torch.stack([torch.linspace(0, 1e-3, 50), torch.linspace(5e6, 6e6, 50)])[None], torch.ones(50), size=SIZE
    )
    assert both.shape[0] > one.shape[0] + SIZE[0]
    rows = coloured(both, HOT)[0]
    assert both.dtype == np.uint8
    assert rows.min() < 30
    assert rows.max() > 150


@pytest.mark.parametrize("length", [1, 2, 3, 5000])
def test_lengths(length: int) -> None:
    picture = show_cam_on_signal(np.ones(length), np.ones(length), size=(60, 200))
    assert len(coloured(picture, HOT)[0]) > (3 if length == 1 else 200)


def test_names_and_units_are_written() -> None:
    plain = show_cam_on_signal(np.arange(50), np.zeros(50), size=SIZE)
    named = show_cam_on_signal(np.arange(50), np.zeros(50), names=["lead II"], size=SIZE)
    timed = show_cam_on_signal(np.arange(50), np.zeros(50), rate=250, size=SIZE)
    more = len(named) - len(plain)
    assert more > 10
    assert np.array_equal(named[more + 6 :], plain[6:])  # the same, and above it the name
    written = np.nonzero((named[: more + 6] < 100).all(2))
    assert written[0].max() < more + 6
    assert written[1].max() < 120
    assert (plain[-40:] != timed[-40:]).any()


@pytest.mark.parametrize(
    ("signal", "map_", "options", "message"),
    [
        (np.zeros((2, 3, 4)), np.zeros(4), {}, r"signal must have shape \(T,\) or \(C, T\), not \(2, 3, 4\)"),
        (np.zeros(0), np.zeros(4), {}, "signal must have shape"),
        (np.zeros(4), np.zeros((1, 4)), {}, r"map must have shape \(t,\), not \(1, 4\); give one map"),
        (np.zeros(4), np.full(4, -0.5), {}, r"map must be in the range \[0, 1\], not -0.5..-0.5"),
        (np.zeros(4), np.full(4, -1.5), {"signed": True}, r"range \[-1, 1\]"),
        (np.zeros((2, 4)), np.zeros(4), {"names": ["a"]}, "1 names for a signal of 2 channels"),
        (np.zeros(4), np.zeros(4), {"rate": 0}, "rate must be a positive number"),
        (np.zeros(4), np.zeros(4), {"size": (4, 100)}, "leaves no room"),
    ],
)
def test_what_cannot_be_drawn(signal: Any, map_: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        show_cam_on_signal(signal, map_, **options)
