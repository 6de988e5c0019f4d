"""The versions that are declared as the oldest are those that `make test-oldest` runs the tests with."""

from __future__ import annotations

import re
import tomllib

from helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pairs(lines: list[str], sign: str) -> dict[str, str]:
    """Return name and version of ``name>=version`` or ``name==version``; nothing else may be there."""
    found = {}
    for line in lines:
        name, between, version = line.partition(sign)
        assert between, line
        assert re.fullmatch(r"[\d.]+", version), line
        name = name.partition("[")[0]
        assert found.setdefault(name, version) == version, f"{name} is declared twice, differently"
    return found


def versions_of_constraints() -> dict[str, str]:
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    return pairs([line for line in lines if line and not line.startswith("#")], "==")


def test_each_is_the_first_release_of_what_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *(line for name in extras if name != "check" for line in extras[name])]
    oldest, tested = pairs(declared, ">="), versions_of_constraints()
    assert set(oldest) == set(tested)
    for name, version in oldest.items():
        wanted, found = ([int(part) for part in text.split(".")] for text in (version, tested[name]))
        assert found[: len(wanted)] == wanted, f"{name}: {version} is declared, {tested[name]} is tested"
        assert not any(found[len(wanted) :][:1]), f"{name}: {version} is declared, a later {tested[name]} is tested"


def test_the_page_that_people_read_says_the_same() -> None:
    python = PROJECT["requires-python"].removeprefix(">=")
    torch = pairs(PROJECT["dependencies"], ">=")["torch"]
    assert f"Python {python} or newer, PyTorch {torch} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")
