"""Code that extends, patches or inspects grad-cam finds with ours what it finds with grad-cam 1.5.7.

The programs are in `tests/wild/programs`; what grad-cam finds is in `tests/wild/results.json`, reduced to a few
numbers. `pytest -m peers` runs them anew with grad-cam itself and compares whole arrays.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path

import pytest
from helpers import missing
from helpers.paths import ROOT
from wild import comparing, running

from benchmarks import peers

RESULTS = json.loads(comparing.RESULTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", running.PROGRAMS)
def test_it_finds_what_it_finds_with_grad_cam(name: str) -> None:
    with running.unpatched(name):
        outcome = running.run(name)
    found = json.loads(json.dumps(comparing.stored(outcome)))
    assert comparing.unexpected(name, comparing.differences(found, RESULTS[name])) == []
    assert outcome.traces == []


@pytest.mark.peers
def test_the_same_in_processes_of_their_own(tmp_path: Path) -> None:
    """Every value, with grad-cam and with ours each in fresh processes; and the stored numbers are grad-cam's."""
    if peers.versions().get("grad-cam") != comparing.PEER:
        pytest.skip(missing.reason("grad-cam"))
    outcomes = []
    for package in (peers.folder(), ROOT):
        folder = tmp_path / package.name
        folder.mkdir()
        outcomes.append(comparing.run_with([package, ROOT / "tests"], folder, running.PROGRAMS))
    wrong: dict[str, list[str]] = {}
    for name in running.PROGRAMS:
        theirs, ours = (outcome[name] for outcome in outcomes)
        assert not theirs.error, theirs.error
        assert list(comparing.differences(comparing.stored(theirs), RESULTS[name])) == [], name
        differing = (
            [ours.error] if ours.error else comparing.unexpected(name, comparing.whole_differences(ours, theirs))
        )
        wrong[name] = [*differing, *ours.traces]
    assert {name: what for name, what in wrong.items() if what} == {}


def test_the_programs_cannot_tell_which_package_they_run_with() -> None:
    """They import what anyone has who uses grad-cam, try nothing else where it fails, and ask for no version."""
    assert len(running.PROGRAMS) >= 60
    assert RESULTS.keys() == {*running.PROGRAMS}
    allowed = {"torch", "numpy", "cv2", "ttach", running.PACKAGE, "wild.networks", *sys.stdlib_module_names}
    for name in running.PROGRAMS:
        tree = ast.parse((ROOT / "tests" / "wild" / "programs" / f"{name}.py").read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
        assert {each for each in found if not {each, each.partition(".")[0]} & allowed} == set(), name
        words = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        words |= {node.id for node in nodes if isinstance(node, ast.Name)}
        assert not words & {"__version__", "__file__", "ImportError", "AttributeError", "explain", "hasattr"} - (
            {"hasattr"} if name == "inspect_attributes" else set()
        ), name


def test_the_rows_they_name_are_rows_of_the_page() -> None:
    page = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
    listed = page.partition("Maps differ on purpose")[2].partition("The metrics differ")[0]
    rows = {int(row) for row in re.findall(r"^(\d+)\. ", listed, re.MULTILINE)}
    named = {row for name in running.PROGRAMS for row in getattr(running.program(name), "DIFFERENCES", {}).values()}
    assert len(named) >= 4
    assert named <= rows


def test_a_difference_is_seen() -> None:
    """A value that is off by more than the tolerance, a missing name, another shape, another fact."""
    name = "inspect_outputs"
    wanted = RESULTS[name]

    def seen(change: str, value: object) -> list[str]:
        found = json.loads(json.dumps(wanted))
        if change == "fact":
            found["facts"]["classes"] = value
        else:
            found["arrays"]["map"][change] = value
        return comparing.unexpected(name, comparing.differences(found, wanted))

    numbers = list(wanted["arrays"]["map"]["numbers"])
    assert seen("numbers", numbers) == []
    assert len(seen("numbers", [numbers[0] + 2e-4, *numbers[1:]])) == 1
    assert len(seen("shape", [3, 24, 31])) == 1
    assert len(seen("fact", [0, 0])) == 1
    with_nothing = {"arrays": {}, "facts": wanted["facts"]}
    assert len(comparing.unexpected(name, comparing.differences(with_nothing, wanted))) == 2
    assert comparing.unexpected("errors_swallowed", iter([])) != []
