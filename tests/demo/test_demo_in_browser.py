"""The demo in Chromium: what people do on it, what leaves it, and what cannot be had from it.

``pytest -m browser`` runs these; they fail where Gradio (extra ``demo``), Playwright (extra ``browser``) or Chromium is
missing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from helpers.paths import ROOT

from pytorch_grad_cam.data.images import read_image, write_image

pytestmark = pytest.mark.browser

Open = Callable[..., Any]  # opens the page in the browser
SECONDS = 60_000  # milliseconds that anything on the page may take here
PICTURE = str(ROOT / "examples" / "images" / "scene_crescent_cross.png")
ARGUMENTS = ("--model", "shapes", "--max-upload", "1", "--max-pixels", "1000000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo has its temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Start the demo as people do; afterwards it stops when it is told to, and leaves nothing behind."""
    command = [sys.executable, str(ROOT / "cam.py"), "demo", *ARGUMENTS]
    settings = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings) as demo:
        assert demo.stdout is not None
        said = demo.stdout.readline()
        try:
            assert said.startswith("the demo is at http://127.0.0.1:"), demo.stderr and demo.stderr.read()
            yield said.split()[4]
        finally:
            demo.send_signal(signal.SIGTERM)
            _, errors = demo.communicate(timeout=60)
    assert errors.endswith("the demo has stopped; the pictures are gone\n")  # behind what Gradio says of the refusals
    assert demo.returncode == 0
    assert not list(folder.glob("cam-demo-*"))


@pytest.fixture
def show(chromium: Any, address: str) -> Iterator[Open]:
    """Open the page; afterwards no error happened, and nobody but the demo was asked for anything."""
    contexts, problems, requests = [], [], []

    def shown(**options: Any) -> Any:
        context = chromium.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(SECONDS)
        tab = context.new_page()
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(address)
        tab.locator("#cam-overlay img").wait_for()  # the first example
        return tab

    yield shown
    for context in contexts:
        context.close()
    assert not problems
    assert not [url for url in requests if not url.startswith((address, "data:", f"blob:{address}"))]


def caption(tab: Any, text: str) -> None:
    """Wait until the text below the overlay contains another one."""
    tab.locator("#cam-caption").get_by_text(text).first.wait_for()


def sees(tab: Any, name: str) -> None:
    """Wait until a class is among those that are predicted."""
    tab.locator("#cam-seen").get_by_text(name, exact=True).wait_for()


def choose(tab: Any, label: str, entry: str) -> None:
    tab.get_by_label(label, exact=True).click()
    tab.get_by_role("option", name=entry).first.click()


def type_in(tab: Any, label: str, text: str) -> None:
    tab.get_by_label(label, exact=True).fill(text)
    tab.get_by_label(label, exact=True).press("Enter")


def upload(tab: Any, file: str | Path) -> None:
    tab.get_by_label("Remove Image").or_(tab.get_by_label("Clear")).first.click()
    tab.locator("#cam-picture input[type=file]").set_input_files(str(file))


def overlay(tab: Any) -> np.ndarray:
    """Return the overlay that is shown."""
    source = tab.locator("#cam-overlay img").get_attribute("src")
    return read_image(tab.request.get(source).body())


def test_an_own_picture_its_classes_a_method_a_layer(show: Open) -> None:
    tab = show()
    upload(tab, PICTURE)
    sees(tab, "crescent")
    first = overlay(tab)
    assert first.shape == read_image(PICTURE).shape
    assert {text.split("\n")[0] for text in tab.locator("#cam-seen li").all_inner_texts()} == {"crescent", "cross"}
    other = "cross" if "crescent" in tab.locator("#cam-caption h3").inner_text() else "crescent"
    choose(tab, "Class", other)
    caption(tab, other)
    assert not np.array_equal(overlay(tab), first)
    choose(tab, "Method", "HiResCAM")
    caption(tab, "HiResCAM at stage4")
    choose(tab, "Layer", "stage2 (ResidualBlock")
    caption(tab, "HiResCAM at stage2:")


def test_a_contrast(show: Open) -> None:
    tab = show()
    upload(tab, PICTURE)
    sees(tab, "crescent")
    choose(tab, "Class", "cross")
    caption(tab, "cross")
    type_in(tab, "Rather than", "crescent")
    caption(tab, "cross rather than")
    caption(tab, "Red speaks for the first class")


def test_mistakes_are_sentences_and_the_next_question_is_answered(show: Open) -> None:
    tab = show()
    type_in(tab, "Class", "starr")
    caption(tab, "did you mean 'star' (3)")
    assert tab.locator("#cam-overlay img").count() == 0
    assert tab.locator("#cam-seen li").count() == 2  # what it sees has not changed
    type_in(tab, "Class", "star")
    caption(tab, "3 star")
    choose(tab, "Method", "RISE")
    caption(tab, "rise takes about 1,001 passes")


def test_opacity(show: Open) -> None:
    tab = show()
    before = tab.locator("#cam-overlay img").get_attribute("src")
    slider = tab.get_by_label("range slider for Opacity of the map")
    slider.focus()
    slider.press("Home")
    slider.dispatch_event("pointerup")
    tab.wait_for_function("old => document.querySelector('#cam-overlay img').getAttribute('src') !== old", arg=before)
    picture = read_image(tab.request.get(tab.locator("#cam-picture img").get_attribute("src")).body()).astype(float)
    assert np.abs(overlay(tab) - picture * 255 / picture.max()).max() <= 1


def test_an_example_is_a_click(show: Open) -> None:
    tab = show()
    tab.locator(".gallery-item, .gallery button").nth(2).click()
    sees(tab, "crescent")
    names = {text.split("\n")[0] for text in tab.locator("#cam-seen li").all_inner_texts()}
    assert names == {"crescent", "cross"}


def test_files_that_are_no_pictures_or_too_large(show: Open, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_bytes(b"no picture")
    write_image(tmp_path / "wide.png", np.zeros((1000, 1100, 3), np.uint8))
    tab = show()
    upload(tab, tmp_path / "text.png")
    caption(tab, "the picture is not a picture in a known format")
    upload(tab, tmp_path / "wide.png")
    caption(tab, "the picture has 1100 x 1000 pixels, more than the 1000000")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_hangs_over(show: Open, width: int, scheme: str) -> None:
    tab = show(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") == width


def status(url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", str(ROOT / "README.md"), "README.md", "../../../../etc/passwd", "cam.py", "/proc/self/environ"],
)
def test_no_file_of_the_machine_can_be_read(address: str, path: str) -> None:
    code, body = status(f"{address}gradio_api/file={path}")
    assert code in (403, 404)
    assert b"root:" not in body
    assert b"pytorch_grad_cam" not in body


def asked(address: str, picture: dict[str, Any]) -> str:
    """Send what the page sends for another picture, with a picture of one's own making; return all that comes back."""
    config = json.loads(status(f"{address}config")[1])
    (number,) = (each["id"] for each in config["dependencies"] if each["targets"] and each["targets"][0][1] == "change")
    session = {"session_hash": f"test{abs(hash(str(picture)))}"}
    sent = {"data": [picture, "shapes", "gradcam", 0.5], "fn_index": number, **session}
    code, answer = status(
        f"{address}gradio_api/queue/join", json.dumps(sent).encode(), {"Content-Type": "application/json"}
    )
    if code != 200:
        return f"{code} {answer.decode()}"
    return status(f"{address}gradio_api/queue/data?session_hash={session['session_hash']}")[1].decode()


def test_a_file_of_the_machine_is_no_picture(address: str) -> None:
    """A picture that lies there, in the place of one that was uploaded."""
    said = asked(address, {"path": PICTURE, "meta": {"_type": "gradio.FileData"}})
    assert '"success":false' in said.replace(" ", "")
    assert "crescent" not in said


def test_nothing_is_fetched_for_anybody(address: str) -> None:
    """An address in the place of a picture: Gradio would ask for it."""
    visits: list[str] = []

    class Visited(BaseHTTPRequestHandler):
        def visited(self) -> None:
            visits.append(self.path)
            self.send_error(404)

        do_GET = do_HEAD = visited  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Visited) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.png"
        said = asked(address, {"path": url, "url": url, "meta": {"_type": "gradio.FileData"}})
        server.shutdown()
    assert "Pictures are uploaded here, not fetched" in said
    assert not visits


def test_a_file_that_is_too_large_is_refused(address: str, folder: Path) -> None:
    boundary = "limit"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    data = head.encode() + bytes(2 * 2**20) + f"\r\n--{boundary}--\r\n".encode()
    code, _ = status(f"{address}gradio_api/upload", data, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert code == 413
    assert not [file for file in folder.rglob("*") if file.is_file() and file.stat().st_size > 2**20]


def test_what_it_does_is_offered_to_no_program(address: str) -> None:
    named = json.loads(status(f"{address}gradio_api/info")[1])
    assert named["named_endpoints"] == {}
