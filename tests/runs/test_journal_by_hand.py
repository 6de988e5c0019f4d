"""A journal that somebody has edited: what was changed does not count, nor what follows, and why is kept to be said."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_grad_cam.runs.journal import Batch, Journal

SETTINGS = {"seed": 0}


def journal_of_two(path: Path) -> Path:
    journal = Journal(path, SETTINGS)
    journal.start()
    journal.add(Batch(0, 4, ((1, "unlucky"),)))
    journal.add(Batch(4, 8))
    return path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"stop": 8', '"stop": "8"'),
        ('"stop": 8', '"stop": -1'),
        ('"start": 4', '"start": 0'),
        ('"notes": []', '"notes": 3'),
        ('"rows"', '"lines"'),
        ("{", "[" * 10_000),
    ],
)
def test_a_line_that_was_edited_does_not_count(before: str, after: str, tmp_path: Path) -> None:
    path = journal_of_two(tmp_path / "journal")
    head, first, last = path.read_text(encoding="utf-8").splitlines()
    assert before in last
    path.write_text("\n".join([head, first, last.replace(before, after, 1), ""]), encoding="utf-8")
    journal = Journal(path, SETTINGS)
    assert (journal.done, journal.changed, journal.unreadable) == (4, [], "is damaged")
    assert [batch.stop for batch in journal.batches()] == [4]


@pytest.mark.parametrize("line", ['{"settings": [1]}', "nonsense", "[" * 100_000, ""])
def test_a_head_that_was_edited_ends_the_run(line: str, tmp_path: Path) -> None:
    path = journal_of_two(tmp_path / "journal")
    _, *rest = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([line, *rest, ""]), encoding="utf-8")
    journal = Journal(path, SETTINGS)
    assert (journal.done, journal.changed) == (0, [])
    assert journal.unreadable == "was written by another version, or is damaged"
