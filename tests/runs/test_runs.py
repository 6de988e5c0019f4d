"""Runs on many rows: batches, threads, the journal, and what is computed again after a kill."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.fingerprint import fingerprint
from pytorch_grad_cam.runs.inputs import BatchPreprocessing
from pytorch_grad_cam.runs.journal import Batch, Journal
from pytorch_grad_cam.runs.runner import AHEAD, BatchRunner


@pytest.mark.parametrize(
    ("preprocessing", "kept"),
    [
        (Preprocessing((6, 9), None), {(6, 9)}),
        (Preprocessing((6, 9), None, (0.2,), (0.5,)), {(6, 9)}),
        (Preprocessing((6, 9), None).padded(0.5), {(6, 9)}),
        (Preprocessing(6, 6), {(6, 6)}),
        (Preprocessing(None, None), {(6, 9), (6, 6), (12, 18)}),
        (Preprocessing(8, 6), set()),
    ],
)
def test_pictures_together_are_prepared_as_they_are_alone(
    preprocessing: Preprocessing, kept: set[tuple[int, int]]
) -> None:
    generator, inputs = np.random.default_rng(0), BatchPreprocessing(preprocessing)
    for size in ((6, 9), (6, 6), (12, 18)):
        pictures = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(3)]
        alone = [inputs.resized(picture) for picture in pictures]
        assert {each is None for each in alone} == {size in kept}
        assert torch.equal(inputs.batch(pictures, alone), torch.stack([*map(preprocessing, pictures)]))
    if (6, 9) in kept and preprocessing.resize is not None:
        mixed = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((6, 9), (12, 18), (6, 9))]
        found = inputs.batch(mixed, [inputs.resized(picture) for picture in mixed])
        assert torch.equal(found, torch.stack([*map(preprocessing, mixed)]))


class Steps:
    """Decodes a number to ten times itself; 13 cannot be decoded."""

    def __init__(self, batch_size: int = 4) -> None:
        self.batches: list[list[int]] = []
        self.written: dict[int, str] = {}
        self.committed: list[list[object]] = []
        self.decoded = 0
        self.threads: dict[str, set[int]] = {"decode": set(), "explain": set(), "write": set(), "commit": set()}
        self.runner = BatchRunner(self.decode, self.explain, self.write, self.commit, batch_size, workers=3)

    def decode(self, row: int) -> int:
        self.threads["decode"].add(threading.get_ident())
        self.decoded += 1
        if row == 13:
            raise ValueError("unlucky")
        return 10 * row

    def explain(self, values: Sequence[int]) -> list[str]:
        self.threads["explain"].add(threading.get_ident())
        self.batches.append(list(values))
        return [f"<{value}>" for value in values]

    def write(self, row: int, found: str) -> None:
        self.threads["write"].add(threading.get_ident())
        self.written[row] = found

    def commit(self, outcomes: Sequence[tuple[int, str | Exception]]) -> None:
        self.threads["commit"].add(threading.get_ident())
        for row, outcome in outcomes:
            assert isinstance(outcome, Exception) or self.written[row] == outcome, "committed before it was written"
        self.committed.append([row if isinstance(outcome, str) else outcome for row, outcome in outcomes])


def test_every_row_is_done_once_in_batches_and_committed_in_order() -> None:
    steps = Steps()
    steps.runner.run(range(10, 21))
    assert steps.batches == [[100, 110, 120], [140, 150, 160, 170], [180, 190, 200]]
    assert steps.written == {row: f"<{10 * row}>" for row in range(10, 21) if row != 13}
    assert [len(each) for each in steps.committed] == [4, 4, 3]
    assert str(steps.committed[0][3]) == "unlucky"
    me = threading.get_ident()
    assert steps.threads["explain"] == {me}
    assert me not in steps.threads["decode"] | steps.threads["write"] | steps.threads["commit"]


def test_batches_hang_on_the_position_alone() -> None:
    whole, rest = Steps(), Steps()
    whole.runner.run(range(20))
    rest.runner.run(range(8, 20))
    assert rest.batches == whole.batches[2:]


def test_no_row_and_bad_rows_only() -> None:
    steps = Steps()
    steps.runner.run([])
    steps.runner.run([13, 13])
    assert steps.batches == []
    assert len(steps.committed) == 1


def test_rows_are_taken_as_they_are_needed() -> None:
    """Memory does not grow with the number of rows: at most a few batches are ahead."""
    steps, taken = Steps(), 0

    def rows():  # type: ignore[no-untyped-def]
        nonlocal taken
        for row in range(1000, 1400):
            taken += 1
            assert taken <= sum(map(len, steps.batches)) + (AHEAD + 2) * 4
            yield row

    steps.runner.run(rows())
    assert taken == len(steps.written) == 400


def test_the_next_batch_is_put_together_while_one_is_explained() -> None:
    steps = Steps()
    second_is_ready = threading.Event()
    threads: list[int] = []

    def gather(values: Sequence[int]) -> list[int]:
        threads.append(threading.get_ident())
        if len(threads) == 2:
            second_is_ready.set()
        return [value + 1 for value in values]

    def explain(values: Sequence[int]) -> list[str]:
        assert second_is_ready.wait(timeout=60)
        return steps.explain(values)

    BatchRunner(steps.decode, explain, steps.write, steps.commit, 4, gather=gather).run([*range(8), *[13] * 4, 20])
    assert steps.batches == [[1, 11, 21, 31], [41, 51, 61, 71], [201]]  # of a batch without good rows there is nothing
    assert len(threads) == 3
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


def test_what_cannot_be_put_together_ends_the_run() -> None:
    steps = Steps()

    def gather(values: Sequence[int]) -> list[int]:
        if values[0] == 80:
            raise MemoryError("no room for a batch")
        return list(values)

    with pytest.raises(MemoryError, match="no room for a batch"):
        BatchRunner(steps.decode, steps.explain, steps.write, steps.commit, 4, gather=gather).run(range(12))
    assert steps.batches == [[0, 10, 20, 30], [40, 50, 60, 70]]


@pytest.mark.parametrize("where", ["explain", "write", "commit"])
def test_an_error_ends_the_run_and_leaves_what_was_committed(where: str) -> None:
    steps = Steps()
    original, calls = getattr(steps, where), 0

    def failing(*given):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == (9 if where == "write" else 3):
            raise OSError("disk full")
        return original(*given)

    names = ("decode", "explain", "write", "commit")
    runner = BatchRunner(*(failing if name == where else getattr(steps, name) for name in names), 4, workers=1)
    with pytest.raises(OSError, match="disk full"):
        runner.run(range(40, 80))
    assert steps.committed == [[40, 41, 42, 43], [44, 45, 46, 47]][: len(steps.committed)]
    assert threading.active_count() == 1 or where  # threads are joined


SETTINGS = {"style": "nnc", "model": "abc", "mean": (0.5,)}


def test_a_journal_continues_what_was_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "j", SETTINGS)
    assert (journal.done, journal.changed) == (0, [])
    assert not (tmp_path / "new").exists()
    journal.start()
    done = [Batch(0, 4, ((1, "bad"),), ((0, "flät"),), (2, 3)), Batch(4, 8)]
    for each in done:
        journal.add(each)
    again = Journal(tmp_path / "new" / "j", SETTINGS)
    assert (again.done, again.changed) == (8, [])
    again.start()
    assert list(again.batches()) == done
    again.remove()
    assert Journal(tmp_path / "new" / "j", SETTINGS).done == 0


@pytest.mark.again
def test_a_journal_cut_anywhere_counts_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path, SETTINGS)
    journal.start()
    ends = [path.stat().st_size]
    for stop in (4, 8, 12):
        journal.add(Batch(stop - 4, stop))
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = Journal(path, SETTINGS)
        assert found.done == 4 * max(0, sum(end <= cut for end in ends) - 1)
        found.start()
        found.add(Batch(found.done, found.done + 4))
        assert Journal(path, SETTINGS).done == found.done


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({**SETTINGS, "model": "abd"}, ["model"]),
        ({**SETTINGS, "style": "paper", "seed": 0}, ["style", "seed"]),
        ({"model": "abc"}, ["style", "mean"]),
    ],
)
def test_other_settings_never_share_results(tmp_path: Path, settings: dict[str, str], changed: list[str]) -> None:
    journal = Journal(tmp_path / "j", SETTINGS)
    journal.start()
    journal.add(Batch(0, 4))
    other = Journal(tmp_path / "j", settings)
    assert (other.done, other.changed) == (0, changed)
    other.start()
    assert list(other.batches()) == []
    assert Journal(tmp_path / "j", SETTINGS).done == 0


@pytest.mark.parametrize("content", [b"\n", b"[1]\n", b"\xff\xfe\n", b'{"stop": 4}\n', b"null\n"])
def test_a_file_that_is_no_journal_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    journal = Journal(tmp_path / "j", SETTINGS)
    assert journal.done == 0
    journal.start()
    assert Journal(tmp_path / "j", SETTINGS).changed == []


def test_a_fingerprint_tells_networks_apart(tmp_path: Path) -> None:
    def loaded(**changes: object) -> LoadedModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)).to(changes.get("dtype", torch.float32))
        if "weight" in changes:
            with torch.no_grad():
                model[0].weight[0, 0, 0, 0] += 1e-6
        if "buffer" in changes:
            model[1].running_mean[0] += 1
        if "layer" in changes:
            model.append(nn.ReLU())
        return LoadedModel(model, Preprocessing(32, changes.get("crop", 32)), source=str(changes.get("source", "s")))

    (tmp_path / "f").write_text("a")
    file = str(tmp_path / "f")
    base = fingerprint(loaded(), file, None, "no file")
    assert base == fingerprint(loaded(), file, None)
    others = [loaded(weight=1), loaded(buffer=1), loaded(layer=1), loaded(crop=28), loaded(dtype=torch.bfloat16)]
    found = {base, *(fingerprint(each, file) for each in others), fingerprint(loaded())}
    (tmp_path / "f").write_text("b")
    found.add(fingerprint(loaded(), file))
    assert len(found) == len(others) + 3
