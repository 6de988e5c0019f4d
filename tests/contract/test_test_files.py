"""What holds for the tests themselves: none imports another, and every test that a text names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FILES = sorted(TESTS.rglob("test_*.py"))
NAMED = re.compile(r"\b(test_\w+\.py)::(\w+)")


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


def test_helpers_are_used() -> None:
    helpers = {path.stem for path in (TESTS / "helpers").glob("*.py")} - {"__init__", "drop_in_program"}
    assert helpers <= set().union(*(imported(path) for path in TESTS.rglob("*.py")))


@pytest.mark.parametrize("name", ["test_defects.py", "test_users.py"])
def test_the_tests_that_a_text_names_are_there(name: str) -> None:
    paths = {path.name: path for path in FILES}
    named = NAMED.findall(paths[name].read_text(encoding="utf-8"))
    assert len(named) > 50
    for file, test in named:
        assert file in paths, f"{name} names {file}, which is not there"
        assert re.search(rf"(def|class) {test}\b", paths[file].read_text(encoding="utf-8")), f"{file} has no {test}"
