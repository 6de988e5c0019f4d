"""Write the pages that follow from the code: docs/methods/*.md, docs/gallery.md and docs/reference/*.md.

    python -m tools.write_pages

A method's page is its row of METHODS, its docstring and its row of docs/scoreboard.md; the reference has every name of
tests/helpers/public_names.py. A test holds that the pages are what this writes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pytorch_grad_cam.data.files import write_bytes
from tools import draw_photos, method_page, reference_pages

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def pages() -> dict[str, str]:
    """Return the text of every page by its path below docs/."""
    tests = str(ROOT / "tests")
    if tests not in sys.path:
        sys.path.append(tests)
    from helpers.public_names import PUBLIC

    methods = method_page.method_pages(draw_photos.with_photo())
    found = {
        "gallery.md": method_page.gallery(),
        "methods/README.md": method_page.index(),
        **{f"methods/{method.module}.md": text for method, text in methods},
        **{f"reference/{name}": text for name, text in reference_pages.pages(PUBLIC).items()},
    }
    return {path: re.sub(r"\n{3,}", "\n\n", text) for path, text in found.items()}


def main() -> None:
    """Write all pages, and delete those of methods that are gone."""
    written = pages()
    for folder in ("methods", "reference"):
        (DOCS / folder).mkdir(exist_ok=True)
        for old in (DOCS / folder).glob("*.md"):
            if f"{folder}/{old.name}" not in written:
                old.unlink()
    for path, text in written.items():
        write_bytes(DOCS / path, text.encode())


if __name__ == "__main__":
    main()
