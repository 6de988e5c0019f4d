"""Pages in the system's Chromium. Playwright's own browsers are not downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE = 10_000  # milliseconds


@contextmanager
def launched() -> Iterator[Any]:
    """Start the browser."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"Chromium is missing (looked for {', '.join(NAMES)}); on Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Pages:
    """Opens files as pages, and keeps what went wrong and what they asked for.

    Args:
        browser: that opens them.
    """

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._contexts: list[Any] = []

    def open(self, file: Path, **options: Any) -> Any:
        """Open a file in a window of its own."""
        self._contexts.append(self.browser.new_context(**options))
        self._contexts[-1].set_default_timeout(_PATIENCE)
        tab = self._contexts[-1].new_page()
        tab.on("pageerror", lambda error: self.problems.append(str(error)))
        tab.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.goto(file.as_uri())
        return tab

    def asked_for(self) -> set[str]:
        """Return the addresses that were asked for, but for those that hold what they name."""
        return {url for url in self.requests if not url.startswith("data:")}

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts:
            context.close()
