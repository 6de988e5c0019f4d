"""Tables of pictures, contact sheets, colour bars, and pictures of concepts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pytorch_grad_cam.visualization.overlay import create_labels_legend, show_factorization_on_image
from pytorch_grad_cam.visualization.sheet import colour_bar, contact_sheet, labelled_grid
from pytorch_grad_cam.visualization.text import line_height

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def plain(colour: tuple[int, int, int], height: int = 10, width: int = 20) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def place(sheet: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[float, float, int]:
    """Where a colour lies: mean row and column, and how many pixels it has."""
    rows, columns = np.nonzero((sheet == colour).all(2))
    return float(rows.mean()), float(columns.mean()), len(rows)


def test_a_grid_has_rows_and_columns() -> None:
    sheet = labelled_grid([[plain(RED), plain(GREEN)], [plain(BLUE), None]], ["gradcam", "b"], ["dog", "cat"], side=40)
    red, green, blue = (place(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert red[2] == green[2] == blue[2] == 40 * 20  # the shape is kept
    assert red[0] == green[0] < blue[0]
    assert red[1] == blue[1] < green[1]
    left, above = int(red[1]) - 20, int(red[0]) - 10
    assert (sheet[:, :left] < 100).any()  # row labels
    assert (sheet[:above] < 100).any()  # column labels
    row, column = int(blue[0]), int(green[1])
    assert sheet[row, column + 39 - 20].tolist() != [255] * 3  # the empty cell is not white, and says so
    assert (sheet[row - 8 : row + 8, column - 20 : column + 20] < 100).any()


def test_a_grid_can_have_a_colour_bar() -> None:
    cells, rows, columns = [[plain((9, 9, 9))]], [""], [""]
    without = labelled_grid(cells, rows, columns, side=64)
    with_bar = labelled_grid(cells, rows, columns, side=64, colormap=cv2.COLORMAP_JET)
    assert with_bar.shape[1] > without.shape[1]
    assert len({tuple(pixel) for pixel in with_bar[:, without.shape[1] + 2]}) > 20


def test_a_grid_needs_as_many_labels_as_pictures() -> None:
    with pytest.raises(ValueError, match="1 row labels and 2 column labels do not go with rows of"):
        labelled_grid([[plain(RED)]], ["a"], ["b", "c"])


def test_long_labels_stay_in_their_column() -> None:
    narrow = labelled_grid([[plain(RED), plain(GREEN)]], ["a"], ["i" * 300, "b"], side=40)
    assert narrow.shape == labelled_grid([[plain(RED), plain(GREEN)]], ["a"], ["b", "b"], side=40).shape
    green = place(narrow, GREEN)
    assert (narrow[:20, int(green[1]) - 20 :] < 100).any()


def test_a_caption_that_is_too_long_goes_on_in_a_second_line() -> None:
    picture, long = plain((0, 0, 0)), "hirescam: 9 hourglass, 100.0 %"
    short, broken = (contact_sheet([picture], [text], side=192) for text in ("gradcam", long))
    assert broken.shape[0] == short.shape[0] + line_height()
    by_hand = contact_sheet([picture], ["hirescam: 9 hourglass,\n100.0 %"], side=192)
    assert np.array_equal(broken, by_hand)
    assert contact_sheet([picture], [f"{long} {long} {long}"], side=192).shape == broken.shape  # at most two


def test_a_contact_sheet_shows_all_in_order() -> None:
    colours = [RED, GREEN, BLUE, (255, 255, 0), (0, 255, 255)]
    sheet = contact_sheet([plain(colour) for colour in colours], list("abcde"), columns=2, side=32)
    places = [place(sheet, colour) for colour in colours]
    assert all(each[2] == 32 * 16 for each in places)
    assert places == sorted(places, key=lambda each: (each[0], each[1]))
    assert places[0][0] == places[1][0] < places[2][0]
    assert contact_sheet([np.zeros((1, 1))], ["gray"]).shape[2] == 3
    with pytest.raises(ValueError, match="0 pictures and 0 captions"):
        contact_sheet([], [])


def test_a_colour_bar_has_the_colours_of_the_map() -> None:
    bar = colour_bar(100, cv2.COLORMAP_VIRIDIS, width=5)
    assert bar.shape[0] == 100
    ends = cv2.applyColorMap(np.array([[255], [0]], np.uint8), cv2.COLORMAP_VIRIDIS)[:, 0, ::-1]
    assert np.array_equal(bar[[0, -1], 2], ends)
    assert (bar[:, 6:] < 100).any()  # ticks
    assert colour_bar(100, ticks=(), width=5).shape[1] < bar.shape[1]


# --- concepts -------------------------------------------------------------------------------------------------------


def test_legends_name_the_best_classes() -> None:
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]])
    names = {0: "cat", 1: "dog, domestic dog, canis, more", 2: "bird"}
    assert create_labels_legend(scores, names) == [
        "dog, domestic dog, canis:0.70\nbird:0.20",
        "cat:0.50\ndog, domestic dog, canis:0.25",
    ]
    assert create_labels_legend(scores, ["a", "b", "c"], top_k=1) == ["b:0.70", "a:0.50"]


def test_each_pixel_has_the_colour_of_its_strongest_concept() -> None:
    picture = np.full((4, 6, 3), 0.5, dtype=np.float32)
    concepts = np.zeros((2, 4, 6), dtype=np.float32)
    concepts[0, :, :3], concepts[1, :, 3:], concepts[0, :, 3:] = 1, 0.6, 0.5
    kept = concepts.copy()
    found = show_factorization_on_image(picture, concepts, [(1, 0, 0), (0, 0, 1)])
    assert found.shape == (4, 6, 3)
    assert found[0, 0].tolist() == [191, 64, 64]  # half gray, half red
    assert found[0, 5].tolist() == [64, 64, 140]  # half gray, half blue at 0.6
    assert np.array_equal(concepts, kept)
    with_legend = show_factorization_on_image(picture, concepts, concept_labels=["cat\ndog", "bird"])
    assert with_legend.shape == (4, 12, 3)
    only = show_factorization_on_image(picture, concepts, image_weight=1.0)
    assert np.abs(only.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("size", [(224, 224), (90, 400), (300, 60)])
def test_the_legend_is_as_large_as_the_picture_and_nothing_of_it_leaves_it(size: tuple[int, int]) -> None:
    """Every concept has its swatch, in their order; what is too long is shortened inside of the margin."""
    picture, concepts = np.zeros((*size, 3)), np.ones((3, 4, 4)) / 2
    labels = ["tabby:0.71\nEgyptian cat:0.20", "a name that is far too long for any picture: 0.50", "x"]
    legend = show_factorization_on_image(picture, concepts, list(np.eye(3)), concept_labels=labels)[:, size[1] :]
    assert legend.shape == (*size, 3)
    tops = [np.nonzero((legend == 255 * np.eye(3)[index]).all(2).any(1))[0].min() for index in range(3)]
    assert tops == sorted(set(tops))
    assert (legend[:, -1] == 255).all()
    assert (legend[tops[0] :, 30:] < 100).any()  # text


def test_what_is_no_factorisation() -> None:
    picture = np.zeros((4, 4, 3))
    with pytest.raises(ValueError, match=r"must have shape \(K, h, w\)"):
        show_factorization_on_image(picture, np.full((1, 4, 4), 2.0))
    with pytest.raises(ValueError, match="1 concepts need 1 colors"):
        show_factorization_on_image(picture, np.zeros((1, 4, 4)), [(1, 0, 0), (0, 1, 0)])
