"""The documentation as a site: built without a warning, every name and link in it leads somewhere, in Chromium too.

``pytest -m docs`` runs these; they need the extras ``docs`` and ``browser`` and the system's Chromium.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from helpers.paths import ROOT
from helpers.public_names import PUBLIC

from tools import reference_pages

pytestmark = pytest.mark.docs

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}
LOOKED_AT = (
    "index",
    "gallery",
    "methods/grad_cam",
    "methods/index",
    "reference/index",
    "reference/drawing",
    "scoreboard",
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing of requests."""


class Links(HTMLParser):
    """Ids of a page, and what it leads to or loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.led: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.ids.add(value)
            if name in ("href", "src") and value:
                (self.led if tag == "a" else self.loaded).add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    found = {path: Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(found) > 60
    return found


def test_every_link_leads_to_a_page_and_a_place_in_it(site: Path, pages: dict[Path, Links]) -> None:
    dead = []
    for path, page in pages.items():
        for link in page.led | page.loaded:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("data:"):
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            target = target / "index.html" if target.is_dir() else target
            known = parts.fragment in ("", "__skip") or unquote(parts.fragment) in getattr(pages.get(target), "ids", ())
            if not target.is_file() or not known:
                dead.append(f"{path.relative_to(site)}: {link}")
    assert dead == []


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Links]) -> None:
    assert {link for page in pages.values() for link in page.loaded if urlsplit(link).netloc} == set()


def test_every_public_name_is_documented(site: Path) -> None:
    inventory = (site / "objects.inv").read_bytes()
    lines = zlib.decompress(inventory.split(b"\n", 4)[4]).decode().splitlines()
    there = {line.split(" ")[0] for line in lines}
    homes = reference_pages.documented(PUBLIC)
    assert {path for path, home in homes.items() if home not in there} == set()


def test_what_lies_outside_of_docs_is_taken_in(pages: dict[Path, Links], site: Path) -> None:
    assert (site / "repository" / "CONTRIBUTING.html").is_file()
    readme = pages[site / "repository" / "index.html"]
    assert "examples/maps.png" in readme.loaded
    assert "../which_method.html" in readme.led


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_on_a_phone_and_a_desk(chromium: Any, served: str, size: dict[str, int], scheme: str) -> None:
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    tab, problems, requests = context.new_page(), [], []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    for name in LOOKED_AT:
        tab.goto(f"{served}{name}.html", wait_until="load")
        assert tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
        assert tab.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)") == [], name
        assert tab.evaluate("document.body.dataset.mdColorScheme") == {"light": "default", "dark": "slate"}[scheme]
    context.close()
    assert problems == []
    assert [url for url in requests if not url.startswith((served, "data:", "blob:"))] == []


def test_the_gallery_has_tiles_beside_each_other_on_a_desk_and_below_on_a_phone(chromium: Any, served: str) -> None:
    columns = {}
    for size in (PHONE, DESK):
        tab = chromium.new_page(viewport=size)
        tab.goto(f"{served}gallery.html")
        lefts = tab.locator(".gallery li").evaluate_all("tiles => tiles.map(t => t.getBoundingClientRect().left)")
        columns[size["width"]] = len(set(lefts))
        tab.close()
    assert columns == {390: 1, 1400: 2}


def test_the_search_finds_a_method(chromium: Any, served: str) -> None:
    tab = chromium.new_page(viewport=DESK)
    tab.goto(f"{served}index.html")
    tab.keyboard.press("/")  # the key of the theme, which shows the field
    tab.locator("input[name=query]").fill("HiResCAM")
    link = tab.locator(".md-search-result__link").first
    link.wait_for()
    assert "hirescam" in (link.get_attribute("href") or "")
    tab.close()
