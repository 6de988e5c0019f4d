"""Fonts that are there: which of them can write a character. Nothing is downloaded.

DejaVu Sans is taken first, as matplotlib brings it (``pip install "tracelesscam[fonts]"``; free to use and to pass on,
https://dejavu-fonts.github.io/License.html) or as the system has it, then Pillow's own (Aileron, CC0), which knows
little more than English, then every other font of the system.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Font = str  # the path of a font's file; "" is Pillow's own
OWN: Font = ""
_FIRST = "DejaVuSans.ttf"
# Widespread fonts with many characters, before all others: so one font writes what belongs together.
_COMMON = (
    *("NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf", "segoeui.ttf"),
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "msyh.ttc", "YuGothM.ttc"),
    *("malgun.ttf", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "leelawui.ttf", "Nirmala.ttf", "Nirmala.ttc"),
)
_ENDINGS = (".ttf", ".otf", ".ttc")
_PLACEHOLDERS = ("lastresort", "adobeblank", "notdef")  # fonts that draw a box, or nothing, for every character
_NOBODY_S = "\U000ffffe"  # a character that will never be one: what is drawn for it is drawn for what is missing
_PROBE = 24  # pixels: at this size, shapes are told apart


@cache
def loaded_font(font: Font, height: int) -> FreeTypeFont:
    """Return a font, its characters ``height`` pixels high.

    Raises:
        OSError: if the file is no font that can be drawn at every size.
    """
    from PIL import ImageFont

    layout = ImageFont.Layout.RAQM if arranges() else ImageFont.Layout.BASIC
    loaded: Any = ImageFont.truetype(font, height, layout_engine=layout) if font else ImageFont.load_default(height)
    return loaded  # type: ignore[no-any-return]


@cache
def arranges() -> bool:
    """Whether Pillow itself puts lines from right to left in order and joins Arabic letters: with Raqm and FriBiDi."""
    from PIL import features

    return bool(features.check("raqm") and features.check("fribidi"))


def direction(font: Font) -> Literal["ltr"] | None:
    """Return the direction of a whole line, whatever it begins with; None where Pillow takes none."""
    return "ltr" if font and arranges() else None


@cache
def font_with(character: str) -> Font | None:
    """Return the first font that has a character; None if no font here has it."""
    return next((font for font in _fonts() if has(font, character)), None)


@cache
def has(font: Font, character: str) -> bool:
    """Whether a font has a shape of its own for a character, be it a blank one where nothing is to be seen."""
    shape = _shape(font, character)
    if shape is None or shape == _shape(font, _NOBODY_S):
        return False
    return shape[1] is not None or character.isspace() or unicodedata.category(character) == "Cf"


def _shape(font: Font, character: str) -> tuple[tuple[int, int], bytes | None] | None:
    """Return how large a character is and its pixels, None for pixels if none is set; None if this is no font."""
    try:
        mask = loaded_font(font, _PROBE).getmask(character)
    except (OSError, ValueError):  # a font of pictures in one size, or a damaged one
        return None
    return mask.size, bytes(mask) if mask.getbbox() else None


def _fonts() -> Iterator[Font]:
    """Yield all fonts, the best first; folders are only searched by whoever asks for more than the first."""
    yield from _first_fonts()
    yield OWN
    yield from _system_fonts()


@cache
def _first_fonts() -> tuple[Font, ...]:
    """Return DejaVu Sans, where it is."""
    matplotlib = find_spec("matplotlib")  # is not imported
    of_matplotlib = [
        os.path.join(folder, "mpl-data", "fonts", "ttf", _FIRST)
        for folder in (matplotlib.submodule_search_locations or () if matplotlib else ())
    ]
    installed = [path for path in _font_files() if os.path.basename(path) == _FIRST]
    return tuple(path for path in [*of_matplotlib, *installed] if os.path.isfile(path))[:1]


@cache
def _system_fonts() -> tuple[Font, ...]:
    """Return all other fonts: common ones, then upright ones of usual weight, then the rest."""

    def place(path: str) -> tuple[int, bool, str]:
        name = os.path.basename(path)
        return _COMMON.index(name) if name in _COMMON else len(_COMMON), "Regular" not in name, path

    names = {path: os.path.basename(path).lower() for path in _font_files()}
    usable = [path for path, name in names.items() if not any(word in name for word in _PLACEHOLDERS)]
    return tuple(sorted(usable, key=place))


@cache
def _font_files() -> tuple[str, ...]:
    """Return the files of all fonts that are installed."""
    return tuple(
        os.path.join(folder, name)
        for top in _folders()
        for folder, _, names in os.walk(top)
        for name in sorted(names)
        if name.lower().endswith(_ENDINGS)
    )


def _folders() -> list[str]:
    """Return where the system, and the user, have their fonts."""
    home = Path.home()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", str(home / "AppData" / "Local"))
        return [
            os.path.join(os.environ.get("WINDIR", r"C:\Windows"), "Fonts"),
            os.path.join(local, "Microsoft", "Windows", "Fonts"),
        ]
    if sys.platform == "darwin":
        return ["/System/Library/Fonts", "/Library/Fonts", str(home / "Library" / "Fonts")]
    data = os.environ.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    shared = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    return [*(os.path.join(folder, "fonts") for folder in shared), os.path.join(data, "fonts"), str(home / ".fonts")]
