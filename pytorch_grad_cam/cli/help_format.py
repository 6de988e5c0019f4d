"""How the help of all commands is set: options in few lines, other text as wide as the terminal."""

from __future__ import annotations

import argparse
import re
import textwrap
from typing import Any

_ROW = re.compile(r"( *\S+(?: \S+)* {2,})(\S.*)")  # of a table: what stands left, and what is said of it


class HelpFormatter(argparse.HelpFormatter):
    """Sets help so that it fits on two screens.

    Texts come with line breaks of their own. Lines that fit stay as they are; commands always do. Where a line does not
    fit, its paragraph is set anew; a row of a table goes on below its last column.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **options | {"max_help_position": 32})

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrapped(" ".join(text.split()), width)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == argparse.ONE_OR_MORE:
            return f"{self._metavar_formatter(action, default_metavar)(1)[0]} ..."
        return super()._format_args(action, default_metavar)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: list[str] = []
        paragraph: list[str] = []
        for line in text.splitlines():
            row = _ROW.match(line)
            is_command = line.lstrip().startswith(self._prog.split()[0])
            is_prose = bool(line.strip()) and row is None and not is_command
            if paragraph and not (is_prose and _margin(line) == _margin(paragraph[0])):
                lines += _fitted(paragraph, width)
                paragraph = []
            if is_prose:
                paragraph.append(line)
                if line.endswith(":"):  # what follows is what it announces
                    lines += _fitted(paragraph, width)
                    paragraph = []
            elif row is not None and not is_command and len(line) > width:
                lines += _wrapped(row[2], width, row[1], " " * len(row[1]))
            else:
                lines.append(line)
        return "\n".join(lines + _fitted(paragraph, width))


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _fitted(paragraph: list[str], width: int) -> list[str]:
    if max(map(len, paragraph), default=0) <= width:
        return paragraph
    margin = _margin(paragraph[0])
    return _wrapped(" ".join(line.strip() for line in paragraph), width, margin, margin)


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )
