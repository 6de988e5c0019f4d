"""What holds for the test files themselves: each has a name of its own, and none imports another."""

from __future__ import annotations

import ast
from pathlib import Path

from helpers.paths import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("test_*.py"))


def imported(path: Path) -> set[str]:
    """Return the last parts of the names of all modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.rpartition(".")[2] for name in names}


def test_every_test_file_has_a_name_of_its_own() -> None:
    """As pytest needs it: a file is imported by its name alone."""
    assert len({path.name for path in FILES}) == len(FILES) > 60


def test_no_test_imports_a_test() -> None:
    """What several tests need lies in tests/helpers/."""
    tests = {path.stem for path in FILES} | {"conftest"}
    wrong = {str(path.relative_to(TESTS)): sorted(imported(path) & tests) for path in TESTS.rglob("*.py")}
    assert {path: names for path, names in wrong.items() if names} == {}
