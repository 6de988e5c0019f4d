"""Only `data/files.py` opens files to write: there, what is written is whole or not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.paths import ROOT

WRITER = ROOT / "pytorch_grad_cam" / "data" / "files.py"
SOURCES = [path for path in (ROOT / "cam.py", *sorted((ROOT / "pytorch_grad_cam").rglob("*.py"))) if path != WRITER]
# Calls that write, whatever they are given; those of the second line unless it is a BytesIO of the same file.
ALWAYS = {"tofile", "imwrite", "savefig", "touch", "mkstemp", "NamedTemporaryFile"}
ALWAYS |= {"VideoWriter", "copyfile", "copytree", "replace_file", "rename", "symlink_to", "hardlink_to", "memmap"}
INTO = {"save", "savez", "savez_compressed", "savetxt", "dump"}
WHOLE = ("os.open", "os.write", "os.replace", "os.truncate", "shutil.copy", "shutil.move", "sys.stdout.write")
PATHS = ("write_bytes", "write_text")
NAMES = {"open", *ALWAYS, *INTO, *PATHS, *(name.rpartition(".")[2] for name in WHOLE)}
MENTIONED = re.compile(rf"\b(?:{'|'.join(NAMES)})\s*\(")
# The lock, in which nothing is written, the end of a pipe nobody reads from any more, and what OpenCV writes to a path
# that data/files.py gives it.
EXCEPTIONS = {
    ("data/videos.py", "cv2.VideoWriter(part, code, rate, (even.shape[2], even.shape[1]))"),
    ("runs/lock.py", "os.open(path, os.O_RDWR | os.O_CREAT, 438)"),
    ("cli/main.py", "os.open(os.devnull, os.O_WRONLY)"),
}


def writing_calls(source: str) -> Iterator[str]:
    """Yield the calls that write files."""
    if not MENTIONED.search(source):
        return  # most files; to parse all of them takes a second
    tree = ast.parse(source)
    buffers = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and ast.unparse(node.value) == "BytesIO()"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in NAMES and _writes(node, buffers):
            yield ast.unparse(node)


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _writes(call: ast.Call, buffers: set[str]) -> bool:
    called = ast.unparse(call.func)
    name = called.rpartition(".")[2]
    first = ast.unparse(call.args[0]) if call.args else ""
    if name in INTO:
        return first not in buffers
    if called in WHOLE:
        return called != "os.open" or ast.unparse(call.args[1]) != "os.O_RDONLY"
    if name in PATHS and isinstance(call.func, ast.Attribute):
        return True  # of a Path; ours are imported by their names
    if name == "open" and called not in ("Image.open",):
        modes = [*call.args[1 if called == "open" else 0 :], *(k.value for k in call.keywords if k.arg == "mode")]
        return any(isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax+") for mode in modes[:1])
    return name in ALWAYS


@pytest.mark.parametrize(
    "source",
    [
        "open(path, 'w')",
        "open(path, mode='xb')",
        "open(path, 'r+b', buffering=0)",
        "Path(path).open('a')",
        "path.write_bytes(data)",
        "path.write_text('a')",
        "np.save(path, values)",
        "file = open(path); np.save(file, values)",
        "image.save(path)",
        "cv2.imwrite(path, image)",
        "os.open(path, os.O_RDWR)",
        "os.replace(a, b)",
        "json.dump(a, file)",
    ],
)
def test_what_writes_is_found(source: str) -> None:
    assert len(list(writing_calls(source))) == 1


def test_what_only_reads_or_fills_memory_is_not_found() -> None:
    for source in (
        "open(path, 'rb')",
        "open(path)",
        "file = BytesIO(); np.save(file, values)",
        "write_bytes(path, b'')",
    ):
        assert list(writing_calls(source)) == [], source


def test_nobody_else_writes_files() -> None:
    found = {
        (path.relative_to(ROOT / "pytorch_grad_cam").as_posix() if path.name != "cam.py" else path.name, call)
        for path in SOURCES
        for call in writing_calls(path.read_text(encoding="utf-8"))
    }
    assert found == EXCEPTIONS


def test_writing_calls_are_in_the_one_file() -> None:
    assert len(list(writing_calls(Path(WRITER).read_text(encoding="utf-8")))) >= 4
