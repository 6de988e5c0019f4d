"""What mkdocs does not do by itself for docs/: pages outside of it that are linked, and the pages of a folder.

The pages are written to be read in the repository, so some link to what lies above docs/: CONTRIBUTING.md,
measurements, pictures of examples. On the site these are below repository/, with all that they link to in turn.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
OUTSIDE = "repository"
OTHERS = "*.md"  # in the navigation: the pages that it does not name
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
COMMANDS = re.compile(r'(?<=<div class="language-bash highlight">).*?(?=</div>)', re.DOTALL)
OPTION = re.compile(r"(?<=[\s>])--?[a-z][\w-]*")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Name in the navigation every page of a folder, and for ``*.md`` those that it does not name."""
    named = set(re.findall(r"[\w/]+\.md", str(config.nav)))
    others = sorted(page.name for page in DOCS.glob("*.md") if page.name not in named)
    config.nav = [{title: _pages(below, others) for title, below in entry.items()} for entry in config.nav]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Take in what is linked from docs/ and lies outside of it, and what that links to."""
    for path in outside():
        place = place_of(path)
        if path.suffix == ".md":
            files.append(File.generated(config, place, content=path.read_text(encoding="utf-8")))
        else:
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to where their targets are on the site."""
    source = _source(page.file.src_uri)
    return _outside_code(markdown, lambda text: LINK.sub(lambda link: _led(link[1], source, page.file.src_uri), text))


def on_page_content(html: str, **_: Any) -> str:
    """Keep each option of a command whole, which a browser would break behind its dashes."""
    return COMMANDS.sub(lambda found: OPTION.sub(r'<span class="option">\g<0></span>', found[0]), html)


def outside() -> list[Path]:
    """Return the files outside of docs/ that the pages link to, directly or by each other."""
    todo, found = sorted(DOCS.rglob("*.md")), dict[Path, None]()
    while todo:
        page = todo.pop()
        for target in links_of(page):
            if target not in found and not target.is_relative_to(DOCS):
                found[target] = None
                if target.suffix == ".md":
                    todo.append(target)
    return sorted(found)


def links_of(page: Path) -> list[Path]:
    """Return the files that a page links to; a folder stands for the pages in it."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [(page.parent / link).resolve() for link in LINK.findall(text)]
    listed = [sorted(target.glob("*.md")) if target.is_dir() else [target] for target in targets]
    return [target for of_link in listed for target in of_link if target.is_file()]


def place_of(path: Path) -> str:
    """Return where a file of the repository is on the site."""
    inside = path.is_relative_to(DOCS)
    return path.relative_to(DOCS).as_posix() if inside else f"{OUTSIDE}/{path.relative_to(ROOT).as_posix()}"


def _source(place: str) -> Path:
    above = f"{OUTSIDE}/"
    return ROOT / place.removeprefix(above) if place.startswith(above) else DOCS / place


def _led(link: str, source: Path, place: str) -> str:
    target = (source.parent / link).resolve()
    if target.is_dir():
        target = next(iter(sorted(target.glob("*.md"))), target)
    if not target.is_file() or not target.is_relative_to(ROOT):
        return link  # which mkdocs reports
    return os.path.relpath(place_of(target), os.path.dirname(place) or ".")


def _outside_code(markdown: str, change: Any) -> str:
    parts = FENCE.split(markdown)  # text, code, text, code ...
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def _pages(below: str | list[str], others: list[str]) -> list[str]:
    found: list[str] = []
    for entry in [below] if isinstance(below, str) else below:
        if entry == OTHERS:
            found += others
        elif entry == f"{OUTSIDE}/":
            found += [place_of(path) for path in outside() if path.suffix == ".md"]
        elif entry.endswith("/"):
            found += [f"{entry}{name}" for name in _in_order(DOCS / entry)]
        else:
            found.append(entry)
    return found


def _in_order(folder: Path) -> list[str]:
    """Return the pages of a folder in the order in which its index names them."""
    listed = [target.name for target in links_of(folder / "README.md") if target.parent == folder]
    return ["README.md", *dict.fromkeys(listed)]
