"""Every name that the documentation uses stays where it was: see CONTRIBUTING.md for how one is deprecated."""

from __future__ import annotations

import importlib

import pytest
from helpers.public_names import PUBLIC


@pytest.mark.parametrize(("module", "names"), PUBLIC.items(), ids=PUBLIC)
def test_public_names_stay(module: str, names: tuple[str, ...]) -> None:
    found = importlib.import_module(module)
    assert not [name for name in names if not hasattr(found, name)]
