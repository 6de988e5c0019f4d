"""The page of a report, and the files of data next to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pytorch_grad_cam.common.web_page import content_policy, fill, json_for_script, read_assets

_ASSETS = "runs/report/assets"
_SCRIPTS = ("rows", "overview", "list", "viewer", "controls")


def report_page(
    manifest: Mapping[str, Any],
    lists: Mapping[str, Any],
    rows: int,
    *,
    chunks: Sequence[str] = (),
    inline: Sequence[Sequence[Any]] | None = None,
    pictures: Mapping[str, str] | None = None,
) -> str:
    """Write the page.

    Args:
        manifest: of the run.
        lists: that the rows point into, of `compact.Compact`.
        rows: how many there are.
        chunks: the files with the rows, as the page names them.
        inline: the rows themselves, where they are part of the page.
        pictures: data URLs by path in the run's folder, where they are part of the page.

    Returns:
        HTML, to be encoded with ``errors="backslashreplace"``.
    """
    script = read_assets("common/assets/elements.js", *(f"{_ASSETS}/{name}.js" for name in _SCRIPTS))
    style = read_assets("common/assets/page.css", f"{_ASSETS}/report.css")
    data = {
        "lists": lists,
        "count": rows,
        "chunks": list(chunks),
        "rows": inline,
        "pictures": pictures,
        "methods": manifest["methods"],
        "colormap": manifest.get("save", {}).get("colormap"),
    }
    parts = {
        "POLICY": content_policy(script, style, files_beside=inline is None),
        "TITLE": _text(manifest["source"]["description"]),
        "STYLE": style,
        "LEAD": _text(_lead(manifest, rows)),
        "SETTINGS": "".join(
            f"<dt>{_text(name)}</dt><dd>{_text(_plain(value))}</dd>" for name, value in manifest.items()
        ),
        "DATA": json_for_script(data),
        "SCRIPT": script,
    }
    return fill(read_assets(f"{_ASSETS}/report.html"), parts)


def chunk_script(number: int, rows: Sequence[Sequence[Any]]) -> str:
    """Return a file of rows as a script: a page that was opened from disk may load no other data."""
    text = json_for_script(rows).replace("\\", "\\\\").replace("'", "\\'")
    return f"reportRows({number},'{text}');\n"


def unfinished(manifest: Mapping[str, Any], rows: int) -> str:
    """Say that a run is not finished; nothing of one that is."""
    pictures = manifest["source"]["pictures"]
    if rows >= pictures:
        return ""
    return f"The run is not finished: {pictures - rows:,} of {pictures:,} pictures are still to come."


def _lead(manifest: Mapping[str, Any], rows: int) -> str:
    sentences = (
        f"Seen by {manifest['model']}.",
        f"Maps: {', '.join(manifest['methods'])}.",
        unfinished(manifest, rows),
    )
    return " ".join(filter(None, sentences))


def _text(value: Any) -> str:
    """Escape a text; what no encoding can write, as in a file's name, is spelled."""
    return escape(str(value).encode(errors="backslashreplace").decode())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
