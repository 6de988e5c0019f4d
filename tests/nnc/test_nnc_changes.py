"""Batch runs while something else changes their files, or the disk is full: what is said, and what comes out."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import nnc_net
from helpers.again import again
from helpers.nnc_net import NET, dataset
from PIL import Image

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.nnc.dataset_run import ROUNDS
from pytorch_grad_cam.runs.lock import LOCK

pytestmark = pytest.mark.again

ROWS, BATCH = 20, 4
WRITES = 1 + ROWS + ROWS // BATCH + 1  # the head of the journal, pictures, lines of the journal, the CSV
JOURNAL = Path("o/.progress.jsonl")
GRADCAM = ["gradcam-batch", "--batch-size", str(BATCH)]
Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the working folder is added to it
    nnc_net.seen.clear()
    path = dataset(tmp_path, ROWS)
    lines = path.read_text().splitlines()
    lines[3], lines[8] = "p/2.bmp,2", "p/7.png,l.csv"  # row 8: its label is in a file
    path.write_text("\n".join(lines) + "\n")
    Path("l.csv").write_text("0,1,0\n")
    with Image.open("p/2.png") as image:
        image.save("p/2.bmp")  # of which any byte of a pixel may change


def run(output: str = "o.csv", command: list[str] = GRADCAM) -> int:
    return main(["nnc", *command, "-i", "d.csv", "-o", output, *NET])


def results(name: str = "o") -> dict[str, str]:
    """What a run leaves, with digests; the CSV without the name of its folder."""
    files = {path.relative_to(name).as_posix(): path.read_bytes() for path in Path(name).rglob("*") if path.is_file()}
    files["csv"] = Path(f"{name}.csv").read_bytes().replace(f"\n{name}/".encode(), b"\n")
    files.pop(LOCK)
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def undisturbed(command: list[str] = GRADCAM) -> dict[str, str]:
    """What a run of the files as they are now leaves."""
    assert run("whole.csv", command) == 0
    found = results("whole")
    shutil.rmtree("whole")
    Path("whole.csv").unlink()
    return found


def at_pass(monkeypatch: pytest.MonkeyPatch, number: int, action: Callable[[], None]) -> None:
    """Do something at the beginning of a pass of the network, once."""
    forward, calls = nnc_net.Tiny.forward, 0

    def acting(self, x):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == number:
            action()
        return forward(self, x)

    monkeypatch.setattr(nnc_net.Tiny, "forward", acting)


def interrupt(monkeypatch: pytest.MonkeyPatch, capsys: Said, command: list[str] = GRADCAM) -> None:
    """Run until at least two batches are written down, of SmoothGrad one; the last one is not."""

    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        at_pass(patched, 22 if "smoothgrad-batch" in command else 6, stop)
        assert run(command=command) == 130
    assert "rows are done, the same command continues there" in capsys.readouterr().err
    assert not Path("o.csv").exists()
    assert JOURNAL.exists()


def same_size(path: Path) -> None:
    """Change one byte, and put the modification time back."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_result_pictures_deleted_or_changed_before_a_resume_are_drawn_again(
    monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    want = undisturbed()
    interrupt(monkeypatch, capsys)
    Path("o/0000/1.png").unlink()
    same_size(Path("o/0000/2.png"))
    capsys.readouterr()
    assert run() == 0
    said = capsys.readouterr()
    assert "note: 2 rows (2, 3): the pictures drawn of them are no longer in o as they were written; dr" in said.err
    assert results() == want


def test_a_whole_folder_of_results_may_be_gone(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    want = undisturbed()
    interrupt(monkeypatch, capsys)
    shutil.rmtree("o/0000")
    assert run() == 0
    assert "drawing again" in capsys.readouterr().err
    assert results() == want


def test_noise_that_is_one_sequence_is_the_same_when_rows_are_drawn_again(
    monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    command = ["smoothgrad-batch", "-n", "2", "--style", "nnc"]
    want = undisturbed(command)
    interrupt(monkeypatch, capsys, command)
    Path("o/0000/1.png").unlink()
    assert run(command=command) == 0
    assert "note: 1 row (2): the pictures" in capsys.readouterr().err
    assert results() == want


@pytest.mark.parametrize("how", ["replaced", "same size and time", "removed", *again("label", "touched")])
def test_an_input_that_was_replaced_before_a_resume(how: str, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    interrupt(monkeypatch, capsys)
    if how == "replaced":
        shutil.copyfile("p/5.png", "p/2.bmp")
    elif how == "same size and time":
        same_size(Path("p/2.bmp"))
    elif how == "removed":
        Path("p/2.bmp").unlink()
    elif how == "label":
        Path("l.csv").write_text("1,0,0\n")
    else:
        os.utime("p/2.bmp", (1, 1))
    assert run() == (1 if how == "removed" else 0)
    said = capsys.readouterr().err
    if how == "touched":
        assert "drawing again" not in said
    elif how == "label":
        assert "note: 1 row (8): d.csv, or a file of their labels, has changed since" in said
    else:
        assert "note: 1 row (3): their pictures to explain were replaced, removed or added since" in said
    found = results()
    if how == "removed":
        assert "0000/2.png" not in found
        assert Path("o.csv").read_text().splitlines()[3] == ",p/2.bmp,2"
    else:
        assert found == undisturbed()


def test_an_input_that_was_missing_and_is_there_now(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    want = undisturbed()
    Path("p/2.bmp").rename("p/away.png")
    interrupt(monkeypatch, capsys)
    Path("p/away.png").rename("p/2.bmp")
    assert run() == 0
    assert "note: 1 row (3): their pictures to explain were replaced, removed or added" in capsys.readouterr().err
    assert results() == want


@pytest.mark.parametrize("what", ["input", "result"])
def test_files_that_change_during_a_run(what: str, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    def change() -> None:
        if what == "input":
            shutil.copyfile("p/5.png", "p/1.png")
        else:
            Path("o/0000/0.png").unlink()

    with monkeypatch.context() as patched:
        at_pass(patched, 5, change)
        assert run() == 0
    assert "drawing again" in capsys.readouterr().err
    assert results() == undisturbed()


def test_files_that_never_cease_to_change(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    forward = nnc_net.Tiny.forward

    def changing(self, x):  # type: ignore[no-untyped-def]
        with open("p/0.png", "ab") as file:
            file.write(b"more")
        return forward(self, x)

    with monkeypatch.context() as patched:
        patched.setattr(nnc_net.Tiny, "forward", changing)
        assert run() == 1
    said = capsys.readouterr().err
    assert said.count("drawing again") == ROUNDS
    assert f"rows were drawn {ROUNDS} times, and each time their files were changed meanwhile" in said
    assert not Path("o.csv").exists()
    assert run() == 0
    assert results() == undisturbed()


CHANGED_CSV = {
    "label": lambda text: text.replace("p/1.png,1", "p/1.png,2"),
    "last label": lambda text: text.replace("p/19.png,1", "p/19.png,0"),
    "row more": lambda text: text + "p/0.png,1\n",
    "row less": lambda text: text[: text.rindex("p/19")],
    "header": lambda text: text.replace("y:shape", "y:kind"),
    "nothing left": lambda text: text[: text.index("p/0")],
}


@pytest.mark.parametrize("how", CHANGED_CSV)
@pytest.mark.parametrize("number", [3, *again(5)])
def test_a_csv_that_changes_during_a_run(how: str, number: int, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    path = Path("d.csv")
    text = path.read_text()
    with monkeypatch.context() as patched:
        at_pass(patched, number, lambda: path.write_text(CHANGED_CSV[how](text)) and None)  # type: ignore[func-returns-value]
        assert run() == 1
    said = capsys.readouterr().err
    assert "d.csv was changed while " in said
    assert "give the " in said
    assert not Path("o.csv").exists()
    path.write_text(text)  # it is as it was: what is done counts
    assert run() == 0
    assert "had other settings" not in capsys.readouterr().err
    assert results() == undisturbed()


def test_a_csv_that_stays_changed_begins_anew(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    path = Path("d.csv")
    with monkeypatch.context() as patched:
        at_pass(patched, 4, lambda: path.write_text(path.read_text() + "p/0.png,1\n") and None)  # type: ignore[func-returns-value]
        assert run() == 1
    assert run() == 0
    assert "had other settings (dataset); starting anew" in capsys.readouterr().err
    assert results() == undisturbed()


def test_a_journal_of_an_older_version_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    interrupt(monkeypatch, capsys)
    lines = [json.loads(line.rpartition(" ")[0]) for line in JOURNAL.read_text().splitlines()]
    old = [{"settings": lines[0]["settings"]}, *({**line, "rows": None, "start": None} for line in lines[1:])]
    JOURNAL.write_text("".join(json.dumps(line) + "\n" for line in old))
    assert run() == 0
    said = capsys.readouterr()
    assert "of an interrupted run, was written by another version, or is damaged; starting anew" in said.err
    assert "continuing" not in said.out
    assert results() == undisturbed()


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_journal_that_was_edited_counts_up_to_there(line: int, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    interrupt(monkeypatch, capsys)
    lines = JOURNAL.read_text().splitlines()
    assert len(lines) >= 3
    lines[line] = lines[line].replace('"s', '"S', 1)
    JOURNAL.write_text("\n".join(lines) + "\n")
    assert run() == 0
    said = capsys.readouterr()
    assert "damaged; " + ("starting anew" if line < 2 else "continuing after its row 4") in said.err
    assert results() == undisturbed()


@pytest.mark.parametrize(
    "room", [pytest.param(room, marks=[pytest.mark.again] * (room not in (6, 18))) for room in range(0, WRITES, 2)]
)
def test_a_full_disk_ends_a_run_that_mends_itself(room: int, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    """One write gives a short count, and from there on there is no room."""
    want = undisturbed()
    write, calls = os.write, 0

    def failing(file: int, data: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls > room + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: len(data) // 2] if calls == room + 1 else data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing)
        assert run() == 1
    said = capsys.readouterr().err
    assert "no space left on device; make room there, or choose another folder" in said
    assert not Path("o.csv").exists()
    assert not list(Path().rglob(".*.part"))
    assert run() == 0
    assert "drawing again" not in capsys.readouterr().err
    assert results() == want


@pytest.mark.parametrize("size", [40, *again(24, 64, 84)])
def test_a_small_disk_that_is_given_room(size: int, tmp_path: Path, capsys: Said) -> None:
    want = undisturbed()
    Path("disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "t", "disk"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk; the test above pretends to have one")
    try:
        assert run("disk/o.csv") == 1
        assert "no space left on device; make room there" in capsys.readouterr().err
        assert not Path("disk/o.csv").exists()
        subprocess.run(["mount", "-o", "remount,size=10m", "disk"], check=True)
        assert run("disk/o.csv") == 0
        found = {path.name: path.read_bytes() for path in Path("disk/o/0000").iterdir()}
    finally:
        subprocess.run(["umount", "disk"], check=True)
    assert {name: hashlib.sha256(content).hexdigest() for name, content in found.items()} == {
        name.removeprefix("0000/"): content for name, content in want.items() if name != "csv"
    }
