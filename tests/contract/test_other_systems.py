"""What can be held here of other systems: Windows and macOS have never run these tests, see docs/reliability.md."""

from __future__ import annotations

import ast
import multiprocessing
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from helpers.tiny_nets import ConvNet, build, inputs

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.models.load import load_model

SOURCES = [
    *(ROOT / "pytorch_grad_cam").rglob("*.py"),
    *(ROOT / "tools").glob("*.py"),
    *(ROOT / "benchmarks").glob("*.py"),
]
TEXT_IO = {"read_text": 0, "write_text": 1}  # methods of Path, and how many arguments come before the encoding
POSIX_ONLY = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "readline", "syslog"}


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Yield the calls in all files that mention one that reads or writes text; to parse the others takes a second."""
    assert len(SOURCES) > 100
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        if any(name in source for name in ("open", *TEXT_IO)):
            yield from ((path, node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))


def says_how_text_is_encoded(call: ast.Call) -> bool:
    """Say of a call whether it is no reading or writing of text, or says ``encoding``: Windows' own is another one."""
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return True
    if isinstance(call.func, ast.Name) and call.func.id == "open":
        mode = call.args[1] if len(call.args) > 1 else ast.Constant("r")
        return isinstance(mode, ast.Constant) and "b" in mode.value
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in TEXT_IO:
        return True
    return len(call.args) > TEXT_IO[call.func.attr]


def test_every_text_file_says_its_encoding() -> None:
    wrong = [f"{path.relative_to(ROOT)}:{node.lineno}" for path, node in calls() if not says_how_text_is_encoded(node)]
    assert wrong == []
    for code, fine in (
        ("open(p)", False),
        ("open(p, 'rb')", True),
        ("p.read_text()", False),
        ("p.write_text(t)", False),
    ):
        assert says_how_text_is_encoded(ast.parse(code, mode="eval").body) is fine  # type: ignore[arg-type]


def test_nothing_imports_at_the_top_what_windows_has_not() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "pytorch_grad_cam").rglob("*.py")}
    assert len(sources) > 100  # those of benchmarks may: they are for Linux
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, source in sources.items()
        if any(f"import {name}" in source or f", {name}" in source for name in POSIX_ONLY)
        for node in ast.parse(source).body
        if isinstance(node, ast.Import) and {alias.name for alias in node.names} & POSIX_ONLY
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (r"C:\nets\mine.py:build", r"names a file; write it as a module: nets\.mine:build"),
        (r".\nets\mine.py:build", r"names a file; write it as a module: nets\.mine:build"),
        ("./nets/mine.py:build", r"names a file; write it as a module: nets\.mine:build"),
        (r"C:\nets\mine.onnx", "does not name a factory; write package.module:function"),
    ],
)
def test_the_letter_of_a_drive_is_no_module(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_model(spec)


@pytest.mark.parametrize("spec", [r"C:\nets\net.pt2", r"C:\nets\net.nnp"])
def test_a_file_on_a_drive_is_a_file(spec: str) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_model(spec)


def explain(cam: GradCAM, x: torch.Tensor, answers: Any) -> None:
    answers.put(cam(x, 1))


def test_what_a_spawned_process_is_given_can_be_pickled() -> None:
    cam, x = GradCAM(build(ConvNet), "conv2"), inputs()
    expected = cam(x, 1)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cam))(x, 1), expected)
    preprocessing = load_model("shapes").preprocessing
    assert pickle.loads(pickle.dumps(preprocessing)) == preprocessing


@pytest.mark.slow
def test_a_spawned_process_finds_the_same() -> None:
    """As Windows and macOS start processes; a forked one is started everywhere else here."""
    context = multiprocessing.get_context("spawn")
    cam, x, answers = GradCAM(build(ConvNet), "conv2"), inputs(), context.Queue()
    process = context.Process(target=explain, args=(cam, x, answers))
    process.start()
    found = answers.get(timeout=120)
    process.join()
    np.testing.assert_array_equal(found, cam(x, 1))
