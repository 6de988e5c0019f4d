"""Method: one row of the table of methods, which ``methods.py`` holds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorch_grad_cam.base_cam import BaseCAM


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name: on the command line.
        path: "module:Class".
        summary: one line: what is highlighted.
        passes: per image: F and B forward and backward, Ft and Bt only through what follows the layer,
            K channels, n positions, N changed images.
        source: authors, year, arXiv id or DOI.
        aliases: other spellings.
        needs: what a network must have, empty if any will do: "pooled head" (global average pooling and one linear
            layer), "attention" (self-attention over all tokens).
    """

    name: str
    path: str
    summary: str
    passes: str
    source: str
    aliases: tuple[str, ...] = ()
    needs: str = ""

    def load(self) -> type[BaseCAM]:
        """Import the method's class."""
        module, _, name = self.path.partition(":")
        found: type[BaseCAM] = getattr(import_module(module), name)
        return found


def name_of(name: str, methods: Iterable[Method]) -> str:
    """Return the command-line name for any spelling: case, ``-``, ``_`` and blanks do not count.

    Raises:
        ValueError: for an unknown method; the message names the closest.
    """
    spellings = {spelling: method.name for method in methods for spelling in (method.name, *method.aliases)}
    plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    if plain in spellings:
        return spellings[plain]
    close = difflib.get_close_matches(plain, spellings, n=1)
    hint = f"did you mean {spellings[close[0]]!r}? Known" if close else "known"
    raise ValueError(f"unknown method {name!r}; {hint}: {', '.join(dict.fromkeys(spellings.values()))}")
