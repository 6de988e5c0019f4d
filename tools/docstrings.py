"""Take a docstring apart: what is highlighted, the equation, arguments, errors, source, note."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import Any

SECTION = re.compile(r"^(Args|Returns|Raises|Source|Note):(.*)$")


@dataclass(frozen=True)
class Parts:
    """A docstring in parts, each of them Markdown."""

    summary: str
    equation: str
    sections: dict[str, str] = field(default_factory=dict)


def parts_of(documented: Any) -> Parts:
    """Return the parts of an object's docstring.

    Raises:
        ValueError: if there is none, or a section comes twice.
    """
    text = inspect.getdoc(documented)
    if not text:
        raise ValueError(f"{documented!r} has no docstring")
    summary, _, rest = text.partition("\n\n")
    name, lines = "", {"": list[str]()}
    for line in rest.splitlines():
        begun = SECTION.match(line)
        if begun:
            name = begun[1]
            if name in lines:
                raise ValueError(f"{documented!r} has two sections {name}")
            lines[name] = [begun[2].strip()]
        else:
            lines[name].append(line)
    blocks = {name: "\n".join(of_section).strip("\n") for name, of_section in lines.items()}
    sections = {
        name: items(text) if name in ("Args", "Raises") else one_line(text) for name, text in blocks.items() if name
    }
    return Parts(one_line(summary), markdown(blocks[""]), sections)


def markdown(text: str) -> str:
    """Return paragraphs as Markdown: one backtick where the docstring has two."""
    return text.replace("``", "`").strip()


def one_line(text: str) -> str:
    """Return a paragraph on one line."""
    return " ".join(markdown(text).split())


def items(text: str) -> str:
    """Return ``name: what it is`` per indented line, whose continuations are indented further, as a list."""
    found: list[str] = []
    loose: list[str] = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent == 4:
            found.append(line.strip())
        elif indent > 4 and found:
            found[-1] += " " + line.strip()
        elif line.strip():
            loose.append(line.strip())
    listed = [re.sub(r"^([\w*, ]+): ", lambda name: f"{_names(name[1])}: ", markdown(item)) for item in found]
    return "\n".join([*([one_line(" ".join(loose)), ""] if loose else []), *(f"- {item}" for item in listed)])


def _names(text: str) -> str:
    return ", ".join(f"`{name.strip()}`" for name in text.split(","))
