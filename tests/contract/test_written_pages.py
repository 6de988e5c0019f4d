"""The pages that tools write from the code, and the pictures of the gallery, are what the code says now."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import pytest
from helpers import missing
from helpers.paths import ROOT
from helpers.public_names import PUBLIC
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam.methods import METHODS
from tools import draw_gallery, draw_photos, reference_pages, write_pages
from tools.docstrings import parts_of

DOCS = ROOT / "docs"
WITH_PHOTO = draw_photos.with_photo()
PASSES = ("F", "F + Bt", "F + B", "F + 3 Bt", "2 F + Bt + B")
CHEAP = [method.name for method in METHODS.values() if method.passes in PASSES and method.needs != "pooled head"]
CHEAP_PHOTOS = [method.name for method in WITH_PHOTO if method.passes in PASSES]


def test_the_pages_are_what_the_tool_writes() -> None:
    """Else run ``python -m tools.write_pages``."""
    written = write_pages.pages()
    there = {path.relative_to(DOCS).as_posix() for name in ("methods", "reference") for path in (DOCS / name).iterdir()}
    assert there | {"gallery.md"} == set(written)
    assert [path for path, text in written.items() if (DOCS / path).read_text(encoding="utf-8") != text] == []


def test_every_method_has_its_page() -> None:
    for method in METHODS.values():
        page = (DOCS / "methods" / f"{method.module}.md").read_text(encoding="utf-8")
        parts = parts_of(method.load())
        assert page.startswith(f"# {method.class_name}\n\n{parts.summary}\n")
        assert "`" in parts.equation, method.name
        assert all(text in page for text in (parts.equation, f"`{method.passes}` per image", "## Source"))
        assert f"--method {method.name}\n" in page
        assert f"](../images/methods/{draw_gallery.file_name(method)})" in page
        assert (f"](../images/photos/{draw_gallery.file_name(method)})" in page) == (method in WITH_PHOTO)


def test_a_page_has_the_row_of_the_scoreboard() -> None:
    page = (DOCS / "methods" / "grad_cam.md").read_text(encoding="utf-8")
    board = (DOCS / "scoreboard.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `gradcam` \| (.+) \|$", board, re.MULTILINE)
    cells = [cell for cell in rows[0].split(" | ") if cell != "-"]
    measured = page.partition("## Measured")[2].partition("\n\nA small vision")[0]
    assert re.findall(r"^\| .+ \| (.+) \|$", measured, re.MULTILINE) == ["GradCAM", "---", *cells]


def test_a_docstring_is_taken_apart() -> None:
    def documented() -> None:
        """Highlights ``A``.

        ``L = a``; more
        of it.

        Args:
            one, two: first
                line.
            **kwargs: others.

        Raises:
            ValueError: if not.

        Source: somebody, 2020,
        "Title".
        Note: one thing.
        """

    parts = parts_of(documented)
    assert (parts.summary, parts.equation) == ("Highlights `A`.", "`L = a`; more\nof it.")
    assert parts.sections == {
        "Args": "- `one`, `two`: first line.\n- `**kwargs`: others.",
        "Raises": "- `ValueError`: if not.",
        "Source": 'somebody, 2020, "Title".',
        "Note": "one thing.",
    }
    with pytest.raises(ValueError, match="has no docstring"):
        parts_of(lambda: None)


def test_the_reference_has_every_public_name() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")]
    shown = [name for text in texts for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
    homes = reference_pages.documented(PUBLIC)
    assert set(homes) == {f"{module}.{name}" for module, names in PUBLIC.items() for name in names}
    assert sorted(shown) == sorted(set(homes.values()))  # each once
    index = (DOCS / "reference" / "README.md").read_text(encoding="utf-8")
    assert [path for path in homes if f"| `{path}` | [" not in index] == []


def test_the_gallery_shows_every_method() -> None:
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    names = [draw_gallery.file_name(method) for method in METHODS.values()]
    assert sorted(path.name for path in draw_gallery.IMAGES.iterdir()) == sorted(names)
    assert re.findall(r"\(images/methods/(\S+?)\)", page) == names


def test_photos_are_there_and_all_pictures_are_small() -> None:
    names = [draw_gallery.file_name(method) for method in WITH_PHOTO]
    assert len(names) >= len(METHODS) - 6
    assert sorted(path.name for path in draw_photos.IMAGES.iterdir()) == sorted([*names, draw_photos.BOTH.name])
    assert sum(path.stat().st_size for path in (DOCS / "images").rglob("*.jpg")) < 3_000_000


def test_the_photos_are_those_that_are_free() -> None:
    missing.package("skimage")
    stored = decoded(draw_photos.BOTH.read_bytes())
    made = draw_photos.both_photos()
    assert stored.shape == made.shape
    assert np.abs(stored - made).mean() < 4  # of JPEG


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("name", CHEAP_PHOTOS)
def test_the_photos_are_drawn_so(name: str) -> None:
    method = METHODS[name]
    stored = decoded((draw_photos.IMAGES / draw_gallery.file_name(method)).read_bytes())
    drawn = decoded(draw_gallery.encoded(draw_photos.drawn(method)))
    assert drawn.shape == stored.shape
    assert np.abs(drawn - stored).mean() < 1


def same_picture(name: str) -> None:
    """Hold that a committed picture is what is drawn now, but for rounding."""
    method = METHODS[name]
    stored = decoded((draw_gallery.IMAGES / draw_gallery.file_name(method)).read_bytes())
    drawn = decoded(draw_gallery.encoded(draw_gallery.drawn(method)))
    assert drawn.shape == stored.shape
    assert np.abs(drawn - stored).mean() < 1


def decoded(jpeg: bytes) -> NDArray[np.int64]:
    with Image.open(BytesIO(jpeg)) as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("name", CHEAP)
def test_the_pictures_are_drawn_so(name: str) -> None:
    same_picture(name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*not every map means something")
@pytest.mark.parametrize("name", [name for name in METHODS if name not in CHEAP])
def test_the_pictures_of_many_passes_are_drawn_so(name: str) -> None:
    same_picture(name)
