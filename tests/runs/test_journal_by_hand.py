"""A journal that somebody has edited: what was changed does not count, nor what follows, and why is kept to be said."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pytorch_grad_cam.runs.journal import Batch, Journal

SETTINGS = {"seed": 0}


def signed(text: str) -> str:
    return f"{text} {hashlib.sha256(text.encode()).hexdigest()[:32]}"


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"start": 4', '"start": 4.0'),
        ('"stop": 8', '"stop": "8"'),
        ('"stop": 8', '"stop": null'),
        ('"stop"', '"end"'),
        ('"notes": []', '"notes": 3'),
        ('"notes": []', '"notes": [[1]]'),
        ('"failed": []', '"failed": [[true, "so"]]'),
        ('"saturated": []', '"saturated": ["a"]'),
        ('"rows": []', '"rows": [["a", [1, 2], null]]'),
        ('"rows": []', '"rows": [["a", [1, "2", "b"], null]]'),
        ('"rows": []', '"rows": [[7, null, null]]'),
        ("{", "["),
        ("{", "[" * 100_000),
    ],
)
def test_a_line_that_was_edited_together_with_its_digest_does_not_count(
    before: str, after: str, tmp_path: Path
) -> None:
    path = journal_of_two(tmp_path / "journal")
    head, first, last = path.read_text(encoding="utf-8").splitlines()
    text = last.rpartition(" ")[0]
    assert before in text
    path.write_text("\n".join([head, first, signed(text.replace(before, after, 1)), ""]), encoding="utf-8")
    journal = Journal(path, SETTINGS)
    assert (journal.done, journal.changed, journal.unreadable) == (4, [], "is damaged")
    assert [batch.stop for batch in journal.batches()] == [4]


@pytest.mark.parametrize("text", ["[]", "7", '{"settings": [1]}', '{"settings": null, "format": [2]}', "[" * 100_000])
def test_a_head_that_was_edited_together_with_its_digest_ends_the_run(text: str, tmp_path: Path) -> None:
    path = journal_of_two(tmp_path / "journal")
    _, *rest = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([signed(text), *rest, ""]), encoding="utf-8")
    journal = Journal(path, SETTINGS)
    assert journal.done == 0
    assert journal.changed or journal.unreadable


@pytest.mark.parametrize("line", ['{"settings": [1]}', "nonsense", "[" * 100_000, ""])
def test_a_head_that_was_edited_ends_the_run(line: str, tmp_path: Path) -> None:
    path = journal_of_two(tmp_path / "journal")
    _, *rest = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([line, *rest, ""]), encoding="utf-8")
    journal = Journal(path, SETTINGS)
    assert (journal.done, journal.changed) == (0, [])
    assert journal.unreadable == "was written by another version, or is damaged"
