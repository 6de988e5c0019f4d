"""What pages that open from disk share: a policy that lets no request leave, data that runs nothing, style, script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def read_assets(*paths: str) -> str:
    """Return files of the package, such as ``runs/report/assets/list.js``, behind one another."""
    package = files("pytorch_grad_cam")
    return "\n".join(package.joinpath(*path.split("/")).read_text(encoding="utf-8") for path in paths)


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Put parts into a template, at ``@@NAME@@``; what looks like a place in a part is left alone."""
    text = template.split("@@")
    return "".join(parts[part] if place % 2 else part for place, part in enumerate(text))


def content_policy(script: str, style: str, *, files_beside: bool = False) -> str:
    """Return the value of a Content-Security-Policy: this script and style alone, and no request to anywhere.

    Args:
        script: of the page.
        style: of the page.
        files_beside: whether scripts and pictures may be loaded from where the page itself lies, on disk or elsewhere.
    """
    beside = " 'self' file:" if files_beside else ""
    return escape(
        f"default-src 'none'; img-src data:{beside}; script-src '{_hash(script)}'{beside}; "
        f"style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    )


def json_for_script(value: Any) -> str:
    """Return JSON that ends no script element: what HTML could take for its own is written as an escape.

    A lone surrogate, as a file's name may have it, stays in the text: encode it with ``errors="backslashreplace"``.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign, escaped in _ESCAPED.items():
        text = text.replace(sign, escaped)
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
