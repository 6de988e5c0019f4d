"""Text as on a computer that has no font but Pillow's own: the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytorch_grad_cam.visualization import fonts, text

_CACHES = (fonts.font_with, fonts.has, fonts.loaded_font, fonts._first_fonts, fonts._system_fonts, text._pieces)


@contextmanager
def only_own_font(arranges: bool | None = None) -> Iterator[None]:
    """Take all other fonts away; with ``arranges`` also say whether Pillow arranges lines from right to left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fonts, "_font_files", lambda: ())
        patch.setattr(fonts, "find_spec", lambda name: None)
        patch.setattr(text, "_logged", set())
        if arranges is not None:
            patch.setattr(text, "arranges", lambda: arranges)
        _clear()
        try:
            yield
        finally:
            _clear()


def _clear() -> None:
    for cached in _CACHES:
        cached.cache_clear()
