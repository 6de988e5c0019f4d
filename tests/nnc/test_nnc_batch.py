"""``nnc gradcam-batch`` and ``smoothgrad-batch``: what comes out, what survives a kill, what is said about bad rows."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import nnc_net
from helpers.nnc_net import KILL_AFTER, NET, dataset
from helpers.paths import ROOT
from PIL import Image

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.nnc.dataset_run import SMOOTH_ROWS
from pytorch_grad_cam.runs.journal import Journal
from pytorch_grad_cam.runs.lock import LOCK, folder_lock

pytestmark = pytest.mark.again

TRIALS = 2  # pictures that the network is tried with, and its layer chosen
SMOOTH = ("smoothgrad-batch", "-n", "2", "--style", "nnc")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the working folder is added to it
    nnc_net.seen.clear()


def run(*options: str) -> int:
    return main(["nnc", *options, *NET])


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with a digest of its bytes; but for the lock, which is empty and stays."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK
    }


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image).astype(int)


@pytest.mark.parametrize("style", ["paper", "nnc"])
@pytest.mark.parametrize("command", ["gradcam", "smoothgrad"])
def test_a_row_is_drawn_as_the_single_command_draws_it(command: str, style: str, tmp_path: Path) -> None:
    dataset(tmp_path, 5)
    more = ["-n", "3"] if command == "smoothgrad" else []
    how = ["--style", style, *more]
    assert run(f"{command}-batch", "-i", "d.csv", "-o", "out.csv", *how) == 0
    indices = [0] if (command, style) == ("smoothgrad", "nnc") else [0, 4]  # there the noise differs from row to row
    for index in indices:
        assert run(command, "-i", f"p/{index}.png", "-c", str(index % 3), "-o", "one.png", *how) == 0
        assert np.abs(pixels("one.png") - pixels(f"out/0000/{index}.png")).max() <= 1
    assert run(command, "-i", "p/4.png", "-c", "0", "-o", "other.png", *how) == 0
    assert np.abs(pixels("other.png") - pixels("out/0000/4.png")).max() > 10  # the label decides


def test_the_csv_is_the_rows_with_a_column_first(tmp_path: Path) -> None:
    dataset(tmp_path / "data", 1003)
    assert run("gradcam-batch", "-i", "data/d.csv", "-o", "data/gradcam.csv", "--batch-size", "256") == 0
    lines = Path("data/gradcam.csv").read_bytes().decode().split("\n")
    assert lines[0] == "gradcam,x:image,y:shape"
    assert lines[1] == "gradcam/0000/0.png,p/0.png,0"
    assert lines[1003] == "gradcam/0001/1002.png,p/1002.png,0"
    assert lines[1004:] == [""]
    assert all(Path("data", line.partition(",")[0]).is_file() for line in lines[1:-1])
    assert {path.name for path in Path("data/gradcam").iterdir()} == {"0000", "0001", LOCK}
    Path("data/gradcam.csv").write_text("\n".join(lines[:3]))
    assert run(*SMOOTH, "-i", "data/gradcam.csv", "-o", "else/s.csv") == 0
    lines = Path("else/s.csv").read_text().split("\n")
    assert lines[:2] == [
        "SmoothGrad,gradcam,x:image,y:shape",
        "s/0000/0.png,../data/gradcam/0000/0.png,../data/p/0.png,0",
    ]


@pytest.mark.slow  # by a signal; what a cut leaves is tried at every place below
def test_a_killed_run_continues_to_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SmoothGrad in the plug-in's style: its noise is one sequence over all rows, which must go on where it was."""
    path = dataset(tmp_path, 26)
    path.write_text(path.read_text() + "p/missing.png,0\np/0.png,9\n" + "p/1.png,1\n" * 4)
    options = [*SMOOTH, "-i", "d.csv"]
    assert run(*options, "-o", "whole/o.csv") == 1
    needed = sum(nnc_net.seen)
    capsys.readouterr()
    nnc_net.seen.clear()
    code = "import sys; from pytorch_grad_cam.cli.main import main; sys.exit(main(sys.argv[1:]))"
    arguments = [sys.executable, "-c", code, "nnc", *options, "-o", "cut/o.csv", *NET]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    kill_after = 2 * needed // 3  # in the third batch of four: by then the first is vouched for
    killed = subprocess.run(arguments, env={**environment, KILL_AFTER: str(kill_after)}, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not Path("cut/o.csv").exists()
    before = tree(tmp_path / "cut")
    assert len(before) > 4
    assert run(*options, "-o", "cut/o.csv") == 1
    captured = capsys.readouterr()
    assert "continuing: " in captured.out
    assert captured.err.count("error: row") == 2
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    batch = 3 * SMOOTH_ROWS  # the picture and two noisy copies
    assert (
        sum(nnc_net.seen) <= needed - kill_after + 2 * batch + TRIALS
    )  # one batch finished but not vouched for, one begun


def test_wherever_a_run_is_cut_it_continues_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill can stop the journal, a picture or the CSV at any byte."""
    dataset(tmp_path, 10)
    options = ["gradcam-batch", "-i", "d.csv", "--batch-size", "3", "-o"]
    assert run(*options, "whole/o.csv") == 0
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "remove", lambda self: None)
        assert run(*options, "cut/o.csv") == 0
    journal = Path("cut/o/.progress.jsonl")
    content = journal.read_bytes()
    ends = [place for place, byte in enumerate(content, 1) if byte == ord("\n")]
    for cut in (0, 10, *(end + step for end in ends for step in (-1, 0, 1))):
        Path("cut/o").mkdir(exist_ok=True)
        journal.write_bytes(content[:cut])
        done = 3 * max(0, sum(end <= cut for end in ends) - 1)
        for index in range(done, 10):
            Path(f"cut/o/0000/{index}.png").write_bytes(b"half a picture")
        Path("cut/.o.csv.part").write_text("half a CSV")
        nnc_net.seen.clear()
        assert run(*options, "cut/o.csv") == 0
        assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
        assert sum(nnc_net.seen) == max(0, 10 - done) + TRIALS


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset(tmp_path, 4)
    options = ["gradcam-batch", "-i", "d.csv", "-o", "o.csv"]
    with folder_lock(Path("o")):
        assert run(*options) == 1
        assert "another run is writing into o; wait for its end, stop it, or name another" in capsys.readouterr().err
        assert [path.name for path in Path("o").iterdir()] == [LOCK]
    assert run(*options) == 0
    assert Path("o", LOCK).read_bytes() == b""
    assert run(*options) == 0


@pytest.mark.parametrize("change", ["style", "picture column", "rows", "model"])
def test_an_interrupted_run_of_something_else_is_not_continued(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = dataset(tmp_path, 6)
    first = ["gradcam-batch", "-i", "d.csv", "-o", "o.csv"]
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "remove", lambda self: None)
        assert run(*first) == 0
    again, named = [*first, *NET], change
    if change == "style":
        again += ["--style", "nnc"]
    elif change == "picture column":
        path.write_text(path.read_text().replace("x:", "z:"))
        again, named = [*again, "-v1", "z"], "input_variable, dataset"
    elif change == "rows":
        path.write_text("\n".join(path.read_text().split("\n")[:4]))
        named = "dataset"
    else:
        again = [*first, "--model", "helpers.nnc_net:blind"]
    nnc_net.seen.clear()
    capsys.readouterr()
    assert main(["nnc", *again]) == 0
    captured = capsys.readouterr()
    assert f"had other settings ({named}); starting anew" in captured.err
    assert "continuing" not in captured.out
    assert sum(nnc_net.seen) == (3 if change == "rows" else 6) + TRIALS


def test_an_old_csv_is_kept_until_the_work_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset(tmp_path, 3)
    Path("o.csv").write_text("old")
    assert main(["nnc", "gradcam-batch", "-i", "d.csv", "-o", "o.csv", "--model", "no_such:net"]) == 1
    assert Path("o.csv").read_text() == "old"  # nothing was touched
    Path("o").write_text("in the way")
    capsys.readouterr()
    assert run("gradcam-batch", "-i", "d.csv", "-o", "o.csv") == 1
    assert "error: cannot write to o: " in capsys.readouterr().err
    assert Path("o.csv").read_text() == "old"


def test_bad_rows_are_named_and_the_rest_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nnc_net.pictures(tmp_path, 3)
    Path("p/text.png").write_text("no picture")
    rows = ["p/0.png,1", "p/none.png,0", "p/1.png", ",1", "p/text.png,0", "p/2.png,7", "p\\2.png,2", "p,0"]
    Path("d.csv").write_text("x:image,y\n" + "\n".join(rows) + "\n")
    Path("o/0000").mkdir(parents=True)
    Path("o/0000/1.png").write_text("of an older run")
    assert run("gradcam-batch", "-i", "d.csv", "-o", "o.csv", "--batch-size", "3") == 1
    captured = capsys.readouterr()
    said = captured.err.splitlines()
    for line, (number, message) in zip(
        said,
        (
            (2, "there is no file p/none.png"),
            (3, "it has 1 cells, the header 2"),
            (4, "its cell 'x' is empty"),
            (5, "is not a picture in a known format"),
            (6, "its label 7 is no class of the network, 0 to 2"),
            (8, "p is a folder"),
        ),
        strict=False,
    ):
        assert line.startswith(f"error: row {number} (line {number + 1} of d.csv): ")
        assert message in line
    assert said[6:] == ["error: 6 rows (2, 3, 4, 5, 6, ...) of 8 failed; their cells are empty"]
    assert captured.out == f"written:    o.csv, 2 pictures in o{os.linesep}".replace(os.linesep, "\n")
    cells = [line.partition(",")[0] for line in Path("o.csv").read_text().splitlines()]
    assert cells == ["gradcam", "o/0000/0.png", "", "", "", "", "", "o/0000/6.png", ""]
    assert tree(tmp_path / "o").keys() == {"0000/0.png", "0000/6.png"}


def test_what_cannot_be_done_at_all_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset(tmp_path, 2)
    Path("head.csv").write_text("x,y\n")
    Path("wide.csv").write_text("x__0,x__1,y\n1,2,0\n")
    for options, code, message in (
        (["-i", "no.csv"], 1, "there is no file no.csv"),
        (["-i", "d.csv", "-v1", "z"], 1, "d.csv has no variable 'z'; its variables are x, y"),
        (["-i", "d.csv", "-v2", "z"], 1, "d.csv has no variable 'z'; its variables are x, y"),
        (["-i", "d.csv", "-o", "d.csv"], 1, "d.csv is the dataset itself"),
        (["-i", "d.csv", "-o", "o.png"], 1, "end it in .csv"),
        (["-i", "d.csv", "-o", "d.csv/o.csv"], 1, "is not a folder"),
        (["-i", "head.csv"], 1, "head.csv has no rows"),
        (["-i", "wide.csv"], 1, "'x' has 2 columns"),
        (["-i", "d.csv", "--target-layers", "nowhere"], 1, "the model has no layer 'nowhere'"),
        (["-i", "d.csv", "-ov", "y'"], 1, "--output_variable means a variable of a .nnp file"),
        (["-i", "d.csv", "--model", "helpers.nnc_net:dense"], 1, "not one score per class"),
        (["-i", "d.csv", "-c", "1"], 2, "each row explains the class in its label"),
        (["-i", "d.csv", "--batch-size", "0"], 2, "'0' is not a whole number from 1"),
    ):
        given = ["nnc", "gradcam-batch", *([] if "--model" in options else NET), *options]
        assert main(given) == code, options
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("error: ")
        assert message in captured.err
        assert not captured.out
    assert not list(tmp_path.glob("gradcam*"))


def test_one_output_explains_class_0_whatever_the_label(tmp_path: Path) -> None:
    dataset(tmp_path, 3)
    assert main(["nnc", "gradcam-batch", "-i", "d.csv", "-o", "o.csv", "--model", "helpers.nnc_net:yes_or_no"]) == 0
    assert len(tree(tmp_path / "o")) == 3


def test_pictures_of_any_size_and_kind_are_taken(tmp_path: Path) -> None:
    nnc_net.pictures(tmp_path, 1, (13, 21))
    with Image.open("p/0.png") as image:
        image.convert("L").resize((5, 6)).save("p/gray.png")
        image.convert("RGBA").save("p/alpha.png")
    Path("d.csv").write_text("x,y\np/0.png,0\np/gray.png,1\np/alpha.png,2\n")
    own = [(21, 13), (5, 6), (21, 13)]
    for model in ("tiny", "gray", "any_size"):
        for style, sizes in (("nnc", own if model == "any_size" else [(8, 8)] * 3), ("paper", own)):
            for command in ("gradcam-batch", "smoothgrad-batch"):
                options = ["-i", "d.csv", "-o", "o.csv", "--style", style, "--model", f"helpers.nnc_net:{model}"]
                assert main(["nnc", command, *options]) == 0
                assert [pixels(f"o/0000/{index}.png").shape[1::-1] for index in range(3)] == sizes


def test_ctrl_c_says_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset(tmp_path, 12)
    forward, calls = nnc_net.Tiny.forward, 0

    def interrupted(self, x):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == 4:  # one to try the network, as the layer is given, and two batches
            raise KeyboardInterrupt
        return forward(self, x)

    options = ["gradcam-batch", "-i", "d.csv", "-o", "o.csv", "--batch-size", "4", "--target-layers", "features.2"]
    with monkeypatch.context() as patched:
        patched.setattr(nnc_net.Tiny, "forward", interrupted)
        assert run(*options) == 130
    assert "error: interrupted; 4 of 12 rows are done" in (said := capsys.readouterr().err) or "8 of 12" in said
    assert run(*options) == 0
    assert "of 12 rows were done before" in capsys.readouterr().out


def test_memory_does_not_hang_on_the_number_of_rows(tmp_path: Path) -> None:
    """Rows are read as they are needed: a CSV that never ends is worked on all the same."""
    from pytorch_grad_cam.nnc.dataset_csv import DatasetCsv

    path = dataset(tmp_path, 1)
    with open(path, "a") as file:
        file.writelines("p/0.png,1\n" for _ in range(100_000))
    rows = DatasetCsv(path).rows()
    assert next(rows).index == 0
    assert next(rows).line == 3
    assert not isinstance(rows, (list, tuple))


@pytest.mark.slow
def test_runs_killed_at_random_moments_continue_to_the_same_bytes() -> None:
    """Twelve of the kills of ``python -m tools.kill_runs``, which makes the figure in docs/reliability.md."""
    arguments = [sys.executable, "-m", "tools.kill_runs", "--kills", "12", "--seed", "1"]
    ran = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("12 kills in ")
    assert ": 0 runs with a byte that differs" in ran.stdout
