"""Every command of README.md and docs/ is one: its options exist, and take what they are given there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from helpers.paths import ROOT

from pytorch_grad_cam.cli.main import _parse

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Return the calls of the program in a page's blocks, continued lines joined."""
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    lines = [line for language, block in blocks if language != "python" for line in joined(block)]
    return [line for line in lines if re.match(r"(?:python cam\.py|cam|python -m pytorch_grad_cam)\s", line)]


def joined(block: str) -> list[str]:
    return [line.strip() for line in re.sub(r"\\\n\s*", " ", block).splitlines()]


def arguments_of(command: str) -> list[str]:
    """Return what stands behind the program's name, without a comment and what the shell does with the output."""
    words = shlex.split(command, comments=True)
    words = words[: min((words.index(sign) for sign in ("|", ">", "&&") if sign in words), default=len(words))]
    return words[3:] if words[1] == "-m" else words[2:] if words[0] == "python" else words[1:]


def test_commands_are_found() -> None:
    found = [command for page in PAGES for command in commands(page)]
    assert len(found) > 80
    assert arguments_of("python cam.py a.jpg --target 'two words' # why") == ["a.jpg", "--target", "two words"]
    assert arguments_of("cam methods | head") == ["methods"]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_commands_are_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {}
    for command in commands(page):
        if "..." in command:
            continue  # leaves something to the reader
        try:
            _parse(arguments_of(command))
        except SystemExit as stop:  # argparse, after --help with 0
            if stop.code:
                wrong[command] = capsys.readouterr().err.splitlines()[-1]
    assert wrong == {}
