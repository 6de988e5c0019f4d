"""What holds for the test files themselves: each has a name of its own, and none imports another."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import conftest
import pytest
from helpers import missing
from helpers.again import now
from helpers.paths import ROOT, SHARED

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("test_*.py"))
ONLY_SHARED = "PYTEST_ONLY_SHARED_MAY_BE_MISSING"


def imported(path: Path) -> set[str]:
    """Return the last parts of the names of all modules that a file imports, if it mentions a test file at all."""
    names: set[str] = set()
    source = path.read_text(encoding="utf-8")
    if not set(re.findall(r"\btest_\w+", source)) & {file.stem for file in FILES}:
        return names  # most files; to parse all of them takes a second
    for node in ast.walk(ast.parse(source)):
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
    tests = {path.stem for path in FILES}
    wrong = {str(path.relative_to(TESTS)): sorted(imported(path) & tests) for path in TESTS.rglob("*.py")}
    assert {path: names for path, names in wrong.items() if names} == {}


def judged(reason: str) -> Any:
    """Return what becomes of a report on a test that was skipped for a reason."""
    report: Any = SimpleNamespace(skipped=True, outcome="skipped", longrepr=("test_x.py", 1, f"Skipped: {reason}"))
    hook = conftest.pytest_runtest_makereport()
    next(hook)
    with pytest.raises(StopIteration) as end:
        hook.send(report)
    return end.value.value


def test_a_test_is_skipped_only_where_something_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ONLY_SHARED, raising=False)
    assert judged("the method uses no target").outcome == "failed"
    assert "this one was: Skipped: not today" in judged("not today").longrepr
    for reason in (missing.SHARED, missing.reason("timm"), "needs a CUDA device"):
        assert judged(reason).outcome == "skipped"
    monkeypatch.setenv(ONLY_SHARED, "1")
    assert judged(missing.reason("timm")).outcome == "failed"
    assert judged(missing.SHARED).outcome == "skipped"
    assert ONLY_SHARED in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_what_the_default_tests_leave_to_another_run_has_one() -> None:
    assert 'pytest -m "again and not (shared or slow or' in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    with pytest.raises(AssertionError, match="all, or none, would be asked by default"):
        now(["a", "b"], lambda name: True)
    once, later = now([("a", 1), ("b", 2)], lambda name, number: number == 1)
    assert (once.values, later.values) == (("a", 1), ("b", 2))
    assert [mark.name for mark in (*once.marks, *later.marks)] == ["again"]


def test_every_reason_says_where_to_get_what_is_missing() -> None:
    assert missing.reason("timm") == 'needs the package timm: pip install ".[test]"'
    assert missing.reason("grad-cam") == "needs the package grad-cam: python -m benchmarks.peers"
    assert "benchmarks/real_data.md" in missing.SHARED


def test_the_page_of_real_data_lists_what_there_is(shared: Path) -> None:
    page = (ROOT / "benchmarks" / "real_data.md").read_text(encoding="utf-8")
    files = {path.name for path in (SHARED / "data" / "models").iterdir()}
    folders = {f"{path.name}/" for part in ("data", "nnp") for path in (SHARED / part).iterdir() if path.is_dir()}
    arrays = {path.name for path in (SHARED / "data").glob("*.npz")}
    assert len(files) >= 9
    assert [name for name in files | arrays | folders - {"models/", "masks/"} if f"`{name}`" not in page] == []
    assert all(f"`masks/{stem}*`" in page for stem in ("pigeon", "voc_2011_000025", "coco_439180"))
