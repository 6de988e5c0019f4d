"""Text in any script: what a font has is drawn with it, everything else is spelled; nothing becomes a box."""

# ruff: noqa: RUF001 - scripts are what this is about

from __future__ import annotations

import re
import string
from collections.abc import Iterator

import numpy as np
import pytest
from helpers.own_font import only_own_font
from helpers.paths import ROOT
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam.visualization import fonts, text
from pytorch_grad_cam.visualization.text import isolated, shortened, text_width, wrapped, write_text

LINES = [
    "tabby 97.2 %",
    "Wüstenfuchs é ß Ω × €",
    "dog 日本語 한국어 ไทย हिन्दी",
    "12 كلب",
    "כלב (12) טוב",
    "собака 😀 🐶 αβγδ",
    "e\u0301te\u0301",
    "a\u200db\ufe0fc\u2068d\u2069",
    "no text: \udcff\udc80, lines\nand\ttabs\x00",
    "\U000fffff private \ue000",
]


@pytest.fixture
def own_font() -> Iterator[None]:
    with only_own_font():
        yield


def drawn(line: str, height: int = 24) -> NDArray[np.uint8]:
    sheet = Image.new("RGB", (700, 40), "white")
    write_text(sheet, 4, 4, line, height=height)
    return np.array(sheet)


def check_no_boxes(line: str) -> None:
    pieces = text._pieces(line)
    assert pieces
    for piece, font in pieces:
        box = fonts._shape(font, fonts._NOBODY_S)
        for character in piece:
            assert fonts._shape(font, character) != box, f"{character!a} of {line!a} would be a box"


@pytest.mark.parametrize("line", LINES)
def test_nothing_becomes_a_box(line: str) -> None:
    check_no_boxes(line)
    assert (drawn(line) < 100).any()


@pytest.mark.parametrize("line", LINES)
@pytest.mark.usefixtures("own_font")
def test_nothing_becomes_a_box_without_any_other_font(line: str) -> None:
    check_no_boxes(line)
    assert (drawn(line) < 100).any()


@pytest.mark.usefixtures("own_font")
@pytest.mark.parametrize(
    ("line", "spelled"),
    [
        ("Wüstenfuchs", "Wustenfuchs"),
        ("3 × é – ß", "3 x e - ss"),
        ("Ω", "Omega"),
        ("キツネ", "kitune"),
        ("개", "gae"),
        ("日", "<U+65E5>"),
        ("🐶", "<dog face>"),
        ("हिन्दी", "hanada"),  # without the marks, which would stand alone
        ("㎏", "kg"),
        ("a\u0301\u0302b", "ab"),
        (isolated("כ") + " 1 %", "kaf 1 %"),
        ("\udcff", "\\xff"),
        ("a\n\tb\u00a0c", "a  b c"),
    ],
)
def test_what_no_font_has_is_spelled(line: str, spelled: str) -> None:
    assert np.array_equal(drawn(line), drawn(spelled))
    assert (drawn(line) < 100).any()


@pytest.mark.usefixtures("own_font")
def test_the_font_that_is_always_there_has_ascii() -> None:
    assert all(fonts.has(fonts.OWN, character) for character in string.printable.strip() + " ")
    assert fonts.font_with("日") is None


@pytest.mark.usefixtures("own_font")
def test_missing_characters_are_said_once_for_each_script(logged: list[str]) -> None:
    for line in ("日本", "語", "한", "ASCII"):
        drawn(line)
    assert [message.partition(";")[0] for message in logged] == [
        "no font here has the characters 日本",
        "no font here has the characters 한",
    ]


def test_accents_in_parts_are_drawn_as_one() -> None:
    assert np.array_equal(drawn("e\u0301te\u0301"), drawn("été"))


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("כלב", "בלכ"),
        ("12 כלב 97 %", "12 בלכ 97 %"),
        ("כלב טוב, dog", "בוט בלכ, dog"),
        ("כֹל", "לכֹ"),  # a mark stays on its letter
        ("no", "no"),
        ("", ""),
    ],
)
def test_the_order_from_right_to_left(line: str, seen: str) -> None:
    assert text._in_visible_order(line) == seen


def test_lines_that_are_too_long() -> None:
    for line in ("i" * 200, "W" * 200, "日" * 50, "ab"):
        short = shortened(line, 100)
        assert text_width(short) <= 100
        assert short == line or short.endswith("...")
        assert line.startswith(short.removesuffix("..."))
    longer = shortened("W" * 200, 100).removesuffix("...") + "W..."
    assert text_width(longer) > 100  # as much as fits
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    lines = wrapped(" ".join(words), 100)
    assert " ".join(lines).split() == words
    assert len(lines) > 1
    assert max(map(text_width, lines)) <= 100
    two = wrapped(" ".join(words), 60, max_lines=2)
    assert len(two) == 2
    assert two[1].endswith("...")
    assert wrapped("", 100) == []


def test_a_name_from_right_to_left_moves_nothing_around_it() -> None:
    assert isolated("dog") == "dog"
    assert isolated("כלב") == "\u2066כלב\u2069"


def test_all_text_is_drawn_in_one_place() -> None:
    drawing = re.compile(r"\b(putText|truetype|load_default|ImageFont)\b|draw\.text\(")
    sources = (ROOT / "pytorch_grad_cam").rglob("*.py")
    users = [path.name for path in sources if drawing.search(path.read_text(encoding="utf-8"))]
    assert sorted(users) == ["fonts.py", "text.py"]
