"""The page "Which method?" says what was measured: every number on it stands in a table that a program wrote."""

from __future__ import annotations

import re

from helpers.paths import ROOT

from pytorch_grad_cam.methods import METHODS

PAGE = (ROOT / "docs" / "which_method.md").read_text(encoding="utf-8")
MEASURED = [ROOT / "docs" / "scoreboard.md", *sorted((ROOT / "benchmarks" / "results").glob("*.md"))]
NUMBERS = r"-?\d+\.\d+ \(-?\d+\.\d+ to -?\d+\.\d+\)|\d+ / \d+|n = \d+|\d\.\d{3}"


def test_every_number_was_measured() -> None:
    tables = "".join(path.read_text(encoding="utf-8") for path in MEASURED)
    numbers = set(re.findall(NUMBERS, " ".join(PAGE.split())))
    assert len(numbers) > 30
    assert {number for number in numbers if number not in tables} == set()


def test_every_method_that_is_named_is_there() -> None:
    rows = [line.split(" | ")[1] for line in PAGE.splitlines() if line.startswith("| ")][2:]
    named = {name for row in rows for name in re.findall(r"\*\*`([^`]+)`\*\*", row)}
    assert {"gradcam", "attentionrelevance"} <= named <= set(METHODS)
