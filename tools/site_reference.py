"""What mkdocstrings leaves open in docs/reference/: imports on top, sources and names as links."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

INDEX = Path(__file__).resolve().parents[1] / "docs" / "reference" / "README.md"
ROW = re.compile(r"^\| `[\w.]*?(\w+)` \| \[.+?\]\((\w+)\.md(#\S+)\) \|$", re.MULTILINE)
ANCHOR = re.compile(r'^<a id="[\w.]+"></a>\n', re.MULTILINE)
OBJECT = re.compile(r"(?=<h2 )")  # each public name has a heading of this level
IMPORT = re.compile(r"<p>Import: .*?</p>")
CLASS = re.compile(r"<code>([A-Z]\w+)</code>(?!</a>)")
NOTE = re.compile(r"(<p>|\n)(Args|Raises|Returns|Source|Note): ")
TITLE = re.compile(r'(?<=<span class="doc-section-title">)as for ([^<]*)(?=</span>)')
SOURCES = (
    (re.compile(r"\barXiv:(\d{4}\.\d{4,5})"), r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>'),
    (re.compile(r"\bdoi:(10\.[^\s,<]*[^\s,.<])"), r'<a href="https://doi.org/\1">doi:\1</a>'),
)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leave out the anchors that GitHub needs: the headings of mkdocstrings have the same."""
    return ANCHOR.sub("", markdown) if page.file.src_uri.startswith("reference/") else markdown


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Finish a page of the reference once mkdocstrings has filled it."""
    place = page.file.src_uri
    if os.path.dirname(place) != "reference" or place.endswith("README.md"):
        return html
    html = "".join(_imported_on_top(part) for part in OBJECT.split(html))
    html = TITLE.sub(lambda found: "Parameters, as for " + re.sub("``(.+?)``", r"<code>\1</code>", found[1]), html)
    html = NOTE.sub(_paragraph, html)
    for pattern, link in SOURCES:
        html = pattern.sub(link, html)
    return CLASS.sub(_link, html)


def _imported_on_top(part: str) -> str:
    """Move the line on how a name is imported, which stands behind all members, below the heading."""
    (line,) = IMPORT.findall(part) or ("",)
    return IMPORT.sub("", part).replace("</h2>", f"</h2>\n{line}", 1)


def _paragraph(found: re.Match[str]) -> str:
    """Begin a paragraph for a section of one line, which mkdocstrings takes for text."""
    begin = found[1] if found[1] == "<p>" else "</p>\n<p>"
    return f"{begin}<strong>{'Parameters' if found[2] == 'Args' else found[2]}:</strong> "


def _link(found: re.Match[str]) -> str:
    place = _places().get(found[1])
    return f'<a href="{place}">{found[0]}</a>' if place else found[0]


@cache
def _places() -> dict[str, str]:
    """Return where each name of the reference is documented, but for names that stand for several things."""
    found: dict[str, set[str]] = {}
    for name, page, anchor in ROW.findall(INDEX.read_text(encoding="utf-8")):
        found.setdefault(name, set()).add(f"{page}.html{anchor}")
    return {name: next(iter(places)) for name, places in found.items() if len(places) == 1}
