"""The links of the documents to other sites lead to something; asked for over the network with ``-m network``."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from helpers.paths import ROOT

PAGES = (*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md")))
LINKS = sorted({link for page in PAGES for link in re.findall(r"\]\((https?://[^)\s]+)\)", page.read_text("utf-8"))})
GONE = (404, 410)  # others, such as 403, are what sites answer to programs


def is_dead(url: str) -> bool:
    """Tell whether nothing is there: no such host, or no such page."""
    try:
        with urlopen(Request(url, headers={"User-Agent": "Mozilla/5.0"}), timeout=30):
            return False
    except HTTPError as error:
        error.close()
        return error.code in GONE
    except URLError:
        return True


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def test_what_is_dead() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    found = {code: is_dead(f"{url}/{code}") for code in (200, 403, 404, 410)}
    server.shutdown()
    thread.join()
    server.server_close()
    assert found == {200: False, 403: False, 404: True, 410: True}
    assert is_dead(f"{url}/200")  # nobody answers any more


@pytest.mark.network
@pytest.mark.parametrize("link", LINKS)
def test_no_link_is_dead(link: str) -> None:
    assert not is_dead(link)
