"""docs/architecture.md names what there is."""

from __future__ import annotations

import re

from helpers.paths import ROOT

PACKAGE = ROOT / "pytorch_grad_cam"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", PAGE)) - {"cam.py"}
    assert len(named) > 20
    assert not [name for name in named if not (PACKAGE / name).is_file() and not (ROOT / name).is_file()]


def test_the_tree_shows_every_room() -> None:
    tree = PAGE.partition("```\n")[2].partition("```")[0]
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert not [room for room in rooms if f"{room}/" not in tree]


def test_every_function_that_the_page_names_exists() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    named = re.findall(r"`(?:[A-Za-z]+\.)?([a-z_]{6,})(?:\([a-z, ]*\)(?: -> \w+)?)?`", PAGE)
    assert len(named) > 10
    modules = {path.stem for path in PACKAGE.rglob("*.py")} | {path.name for path in PACKAGE.iterdir()}
    assert not [name for name in named if name not in modules and not re.search(rf"\b{name}\b", sources)]
