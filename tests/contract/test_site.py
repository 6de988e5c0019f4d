"""The documentation as a site: built without a warning, every name and link in it leads somewhere, in Chromium too.

``pytest -m docs`` runs these; they need the extras ``docs`` and ``browser`` and the system's Chromium.
"""

from __future__ import annotations

import os
import re
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


def test_the_reference_says_how_each_name_is_imported_and_made(site: Path) -> None:
    imported, made = {}, {}
    for path in sorted((site / "reference").glob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert "``" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL), path.name
        for part in re.split(r"(?=<h2 id=)", text)[1:]:
            home = re.findall(r'^<h2 id="([^"]+)"', part)[0]
            imported[home] = re.findall(r"</h2>\s*<p>Import: <code>from (\S+) import (\w+)</code>", part)
            if 'class="doc doc-object-name doc-class-name"' in part:
                made[home] = "doc-signature" in part.partition('<div class="doc doc-contents')[0]
    homes = reference_pages.documented(PUBLIC)
    assert {home: len(lines) for home, lines in imported.items() if home in homes.values()} == dict.fromkeys(
        homes.values(), 1
    )
    nothing_to_give = {"Detections", "RawScoresOutputTarget", "SoftmaxOutputTarget"}
    assert {home.rpartition(".")[2] for home, is_shown in made.items() if not is_shown} == nothing_to_give
    assert all(f"{module}.{name}" in homes for ((module, name),) in filter(None, imported.values()))


def test_the_reference_keeps_sections_of_one_line(site: Path) -> None:
    text = (site / "reference" / "methods.html").read_text(encoding="utf-8")
    assert "<strong>Parameters:</strong> as for <code>AttentionCAM</code>" in text
    assert "Parameters, as for <code>AttentionCAM</code>, and" in text
    assert "<strong>Source:</strong> R. R. Selvaraju et al., 2017" in text
    assert '<a href="https://arxiv.org/abs/1610.02391">arXiv:1610.02391</a>' in text
    assert '<a href="explaining.html#pytorch_grad_cam.base_cam.BaseCAM"><code>BaseCAM</code></a>' in text
    assert not re.search(r"\n(Source|Note|Args): ", text)


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


def problems_of(tab: Any) -> list[str]:
    """Return the list in which what goes wrong on a page will stand."""
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(f"{tab.url}: {error}"))
    tab.on("console", lambda said: problems.append(f"{tab.url}: {said.text}") if said.type == "error" else None)
    tab.on(
        "response", lambda answer: problems.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
    )
    return problems


def assert_fits_and_has_its_pictures(tab: Any, name: str) -> None:
    assert tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    assert tab.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)") == [], name


def test_every_page_fits_a_phone(chromium: Any, served: str, site: Path, pages: dict[Path, Links]) -> None:
    tab = chromium.new_page(viewport=PHONE)
    problems = problems_of(tab)
    for path in pages:
        name = path.relative_to(site).as_posix()
        tab.goto(f"{served}{name}", wait_until="load")
        assert_fits_and_has_its_pictures(tab, name)
    tab.close()
    assert problems == []


def test_names_and_options_stay_whole_on_a_phone(chromium: Any, served: str) -> None:
    """Which a browser would break in the middle of ``gradcamelementwise``, and behind the dashes of an option."""
    tab = chromium.new_page(viewport=PHONE)
    lines = "found => found.map(e => [e.textContent, e.getClientRects().length])"
    for name, which in (("scoreboard", "td code"), ("methods/index", "td code"), ("start", ".option")):
        tab.goto(f"{served}{name}.html")
        found = tab.locator(f"article {which}").evaluate_all(lines)
        assert found
        assert [text for text, count in found if count > 1 and " " not in text] == []
    tab.goto(f"{served}start.html")
    cut = "found => found.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
    assert tab.locator(".language-bash code").evaluate_all(cut) == []
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_on_a_phone_and_a_desk(chromium: Any, served: str, size: dict[str, int], scheme: str) -> None:
    context = chromium.new_context(viewport=size, color_scheme=scheme)
    tab, requests = context.new_page(), []
    problems = problems_of(tab)
    tab.on("request", lambda request: requests.append(request.url))
    for name in LOOKED_AT:
        tab.goto(f"{served}{name}.html", wait_until="load")
        assert_fits_and_has_its_pictures(tab, name)
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
    field = tab.locator("input[name=query]")
    field.focus()
    field.press_sequentially("HiResCAM")  # the theme listens to keys, from when its script has run
    link = tab.locator(".md-search-result__link").first
    link.wait_for()
    assert "hirescam" in (link.get_attribute("href") or "")
    tab.close()
