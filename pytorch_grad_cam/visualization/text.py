"""Text on pictures, in any script: everything that is written goes through `write_text`.

A character that no font has is never drawn as a box: it is spelled in letters that there are, and that is logged once.
"""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from pytorch_grad_cam.visualization.fonts import OWN, Font, arranges, direction, font_with, has, loaded_font

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)
_logged: set[str] = set()  # scripts that were said to be missing

TEXT_HEIGHT = 14  # pixels
INK = (20, 20, 20)
_RIGHT_TO_LEFT = ("R", "AL")
_ISOLATE, _END = "\u2066", "\u2069"  # what stands between, left to right as a whole, moves nothing around it
_SPELLED = {
    **{"\u00d7": "x", "\u2013": "-", "\u2014": "-", "\u2212": "-", "\u2018": "'", "\u2019": "'", "\u2022": "*"},
    **{"\u201c": '"', "\u201d": '"', "\u2192": "->", "\u00df": "ss", "\u00b7": "-", "\u2264": "<=", "\u2265": ">="},
}

_LETTER = re.compile(r".*?(?P<capital>CAPITAL )?(?:SMALL )?(?:LETTER|SYLLABLE) (?:FINAL )?(?P<letter>.+?)(?: WITH .*)?")


def write_text(
    sheet: Image,
    x: int,
    y: int,
    text: str,
    max_width: int | None = None,
    height: int = TEXT_HEIGHT,
    ink: tuple[int, int, int] = INK,
) -> None:
    """Write one line onto a picture, shortened with dots if it is wider than it may be.

    Args:
        sheet: what is written on.
        x, y: the left upper corner.
        text: in any script and direction; lines and control characters become blanks.
        max_width: in pixels.
        height: of the letters, from the top of the highest to the foot of the lowest, in pixels.
        ink: the colour.
    """
    from PIL import ImageDraw

    draw = ImageDraw.Draw(sheet)
    pieces = _pieces(text if max_width is None else shortened(text, max_width, height))
    baseline = y + max((loaded_font(font, height).getmetrics()[0] for _, font in pieces), default=0)
    place = float(x)
    for piece, font in pieces:
        loaded, way = loaded_font(font, height), direction(font)
        draw.text((round(place), baseline), piece, fill=ink, font=loaded, anchor="ls", direction=way)
        place += loaded.getlength(piece, direction=way)


def text_width(text: str, height: int = TEXT_HEIGHT) -> int:
    """Return how many pixels a line takes."""
    lengths = (loaded_font(font, height).getlength(piece, direction=direction(font)) for piece, font in _pieces(text))
    return math.ceil(sum(lengths))


def line_height(height: int = TEXT_HEIGHT) -> int:
    """Return the distance between lines below each other."""
    return round(1.35 * height)


def shortened(text: str, max_width: int, height: int = TEXT_HEIGHT) -> str:
    """Return a line that is not wider than it may be, its end replaced by dots if need be."""
    if text_width(text, height) <= max_width:
        return text
    count = bisect_right(range(len(text)), max_width, key=lambda end: text_width(f"{text[:end]}...", height))
    return f"{text[: max(count - 1, 0)]}..."


def wrapped(text: str, max_width: int, height: int = TEXT_HEIGHT, max_lines: int | None = None) -> list[str]:
    """Break a text between words into lines that are not wider than they may be; the last one may be shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and (len(lines) == max_lines or text_width(longer, height) <= max_width):
            lines[-1] = longer
        else:
            lines.append(word)
    return [shortened(line, max_width, height) for line in lines]


def isolated(text: str) -> str:
    """Return a name as a part of a longer line: one that is written from right to left moves nothing around it."""
    return f"{_ISOLATE}{text}{_END}" if any(map(_is_right_to_left, text)) else text


@lru_cache(1024)
def _pieces(text: str) -> tuple[tuple[str, Font], ...]:
    """Split a line into pieces of one font each, in the order in which they are seen from left to right."""
    line = _drawable(text)
    if not arranges():
        line = _in_visible_order(line)
    fonts = dict.fromkeys(font_with(character) or OWN for character in f"a{line}")
    whole = next((font for font in fonts if all(has(font, character) for character in line)), None)
    chosen: list[Font] = []
    for character in line:
        fitting = [font for font in chosen[-1:] if _belongs_to_previous(character) and has(font, character)]
        chosen += fitting or [whole or font_with(character) or OWN]
    pairs = list(zip(line, chosen, strict=True))
    return tuple((_text_of(run), font) for font, run in groupby(pairs, lambda pair: pair[1]))


def _text_of(pairs: Iterable[tuple[str, Font]]) -> str:
    """Join the characters of a piece, without what steers direction and joining if its font does not know that."""
    return "".join(character for character, font in pairs if has(font, character) or not _steers(character))


def _drawable(text: str) -> str:
    """Return a line with nothing in it that could not be drawn."""
    composed = unicodedata.normalize("NFC", text)  # file names of macOS come in parts: a letter, then its accent
    missing = [character for character in composed if _visible(character) and font_with(character) is None]
    _log_missing(missing)
    parts: list[str] = []
    previous = ""
    for character in composed:
        mark_of_missing = unicodedata.category(character)[0] == "M" and previous in missing
        parts.append("" if mark_of_missing else _written(character))
        previous = previous if mark_of_missing else character
    line = "".join(parts)
    turns = arranges() and any(map(_is_right_to_left, line))
    return line if turns else "".join(character for character in line if not _steers(character))


def _log_missing(characters: Sequence[str]) -> None:
    """Say, once for each script, that no font has some characters."""
    scripts = {unicodedata.name(character, "?").split()[0] for character in characters} - _logged
    if scripts:
        _logged.update(scripts)
        log.warning(
            "no font here has the characters %s; they are spelled as %s. Install a font: for Chinese, Japanese and "
            "Korean Noto Sans CJK, for most others DejaVu Sans, which matplotlib brings too",
            "".join(characters),
            "".join(map(_written, characters)),
        )


def _visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ"


def _steers(character: str) -> bool:
    """Whether nothing is drawn for a character: joiners, marks of direction, variants of what precedes."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def _belongs_to_previous(character: str) -> bool:
    return character == " " or _steers(character) or unicodedata.category(character)[0] == "M"


def _written(character: str) -> str:
    """Return a character, or what is written in its place."""
    kind = unicodedata.category(character)
    if kind == "Cs":  # a byte of a file name that is no text
        return f"\\x{ord(character) & 0xFF:02x}"
    if kind in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    return character if _steers(character) or font_with(character) is not None else _spelled(character)


def _spelled(character: str) -> str:
    """Spell a character in letters of English: its base letter, its name, or its number."""
    if character in _SPELLED:
        return _SPELLED[character]
    if unicodedata.combining(character):
        return ""
    parts = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    if parts.isascii() and parts:
        return parts
    name = unicodedata.name(character, "").replace("CHARACTER SARA ", "LETTER ").replace("CHARACTER ", "LETTER ")
    letter = _LETTER.fullmatch(name)
    if letter is not None:
        spelled = letter["letter"].split()[0 if "THAI" in name else -1].lower()
        return spelled.capitalize() if letter["capital"] else spelled
    return f"<U+{ord(character):04X}>" if not name or "IDEOGRAPH" in name else f"<{name.lower()}>"


def _in_visible_order(line: str) -> str:
    """Turn what is read from right to left around, with the blanks and signs inside; numbers stay as they are."""
    pattern = "".join("r" if _is_right_to_left(character) else _side(character) for character in line)
    parts: list[str] = []
    end = 0
    for run in re.finditer(r"r(?:[rn]*r)?", pattern):
        parts += [line[end : run.start()], "".join(_clusters_backwards(line[run.start() : run.end()]))]
        end = run.end()
    return "".join([*parts, line[end:]])


def _side(character: str) -> str:
    return "n" if unicodedata.bidirectional(character) in ("WS", "ON", "NSM", "CS", "ES") else "l"


def _clusters_backwards(run: str) -> Iterator[str]:
    """Yield letters, each with its marks, the last first."""
    clusters: list[str] = []
    for character in run:
        if clusters and unicodedata.combining(character):
            clusters[-1] += character
        else:
            clusters.append(character)
    return reversed(clusters)


def _is_right_to_left(character: str) -> bool:
    return unicodedata.bidirectional(character) in _RIGHT_TO_LEFT
