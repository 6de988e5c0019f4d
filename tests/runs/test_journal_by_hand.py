"""A journal that somebody has edited: a sentence, and no row that counts by mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytorch_grad_cam.runs.journal import Batch, Journal

GOOD = {"stop": 4, "failed": [[1, "unlucky"]], "notes": [], "saturated": []}


def written(path: Path, *records: Any) -> Path:
    path.write_text("".join(f"{record if isinstance(record, str) else json.dumps(record)}\n" for record in records))
    return path


@pytest.mark.parametrize(
    "change",
    [
        {"stop": "4"},
        {"stop": -1},
        {"stop": 0},
        {"stop": True},
        {"stop": None},
        {"failed": {"1": "x"}},
        {"failed": [[1]]},
        {"failed": [["1", "x"]]},
        {"notes": 3},
        {"notes": [[1, 2]]},
        {"saturated": ["1"]},
        {"saturated": None},
    ],
)
def test_a_line_that_is_no_batch(change: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "j", {"settings": {}}, GOOD, {**GOOD, "stop": 8, **change})
    with pytest.raises(ValueError, match=r"has been changed: line 3 is no finished batch; delete it to start anew"):
        Journal(path, {})


def test_settings_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"its settings are none; delete it to start anew"):
        Journal(written(tmp_path / "j", {"settings": [1]}), {})


def test_rows_that_go_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 3 is no finished batch"):
        Journal(written(tmp_path / "j", {"settings": {}}, GOOD, GOOD), {})


@pytest.mark.parametrize("line", ["{", "[" * 100_000, "nonsense", "[]", ""])
def test_what_a_kill_may_have_left_does_not_count(line: str, tmp_path: Path) -> None:
    journal = Journal(written(tmp_path / "j", {"settings": {}}, GOOD, line), {})
    assert (journal.done, journal.changed) == (4, [])
    assert list(journal.batches()) == [Batch(4, ((1, "unlucky"),))]
