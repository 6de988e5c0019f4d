"""`cam run`: what is kept of many pictures, how a run goes on, and who explains which share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.colour_net import NET, described, red_and_blue
from PIL import Image

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.runs import run_folder
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.opened_run import open_run
from pytorch_grad_cam.runs.picture_files import FileNames
from pytorch_grad_cam.runs.ready_network import ExplainerOptions
from pytorch_grad_cam.runs.run_folder import RunFolder
from pytorch_grad_cam.runs.run_index import RunIndex
from pytorch_grad_cam.runs.selection import Selection
from pytorch_grad_cam.runs.shards import Shard

BATCHES = ["--batch-size", "2"]


@pytest.fixture
def photos(here: Path) -> Path:
    """Five pictures in the working folder's `photos`, one of which cannot be read."""
    folder = here / "photos"
    folder.mkdir()
    for number in range(5):
        picture = red_and_blue()
        picture[:8] = 40 * number
        if number == 3:
            picture[20:40, 24:40] = 128  # no red square: it is dark blue
        Image.fromarray(picture).save(folder / f"{number}.png")
    (folder / "2.png").write_bytes(b"no picture")
    return folder


def run(*arguments: str) -> int:
    return main(["run", "photos", "--output-dir", "RUN", *NET, *BATCHES, *arguments])


def kept(folder: str = "RUN") -> dict[str, bytes]:
    """Return the files of a run, but for the times, by their paths."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths
            if path.name not in (".lock", "times.jsonl") and "shards" not in path.parts}  # fmt: skip


def test_everything_about_every_picture_is_in_the_index(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--save", "overlay", "npy", "boxes", "heatmap", "json") == 1
    printed = capsys.readouterr()
    assert "pictures:   4 explained, 1 failed" in printed.out
    assert "2.png" in printed.err
    rows = list(open_run("RUN"))
    assert [(row["position"], row["id"], row["status"]) for row in rows] == [
        (0, "0", "done"), (1, "1", "done"), (2, "2", "failed"), (3, "3", "done"), (4, "4", "done"),
    ]  # fmt: skip
    assert rows[2]["error"]
    assert "files" not in rows[2]
    (map,) = rows[0]["maps"]
    assert map["class"] == {"index": 0, "name": "red"}
    assert map["score"] == pytest.approx(100 * 16 * 20 * (2 / 3) ** 2 / 40**2, rel=0.1)  # the share that is red
    assert rows[0]["predicted"][0]["name"] == "red"
    assert all((Path("RUN") / file).is_file() for file in map["files"].values())
    assert json.loads((Path("RUN") / rows[0]["record"]).read_text(encoding="utf-8"))["id"] == "0"
    (box,) = map["boxes"]
    assert abs(box["left"] - 24) <= 2
    assert abs(box["bottom"] - 40) <= 2
    assert rows[0]["ms"] > 0


def test_the_maps_are_those_of_the_explainer(photos: Path) -> None:
    run("--save", "npy", "--method", "gradcam", "hirescam", "--target", "red", "dark blue")
    opened = open_run("RUN")
    assert set(opened.maps("0")) == {
        "gradcam: 0 red",
        "gradcam: 1 dark blue",
        "hirescam: 0 red",
        "hirescam: 1 dark blue",
    }

    found = Explainer(described(), ExplainerOptions(("gradcam",), (1,)))(photos / "4.png")
    np.testing.assert_allclose(opened.maps("4")["gradcam: 1 dark blue"], found.maps[0].map, atol=1e-3)


def test_a_run_without_files_is_its_index(photos: Path) -> None:
    run("--save", "none")
    assert set(kept()) == {"index.jsonl", "manifest.json"}
    with pytest.raises(ValueError, match="kept no values"):
        open_run("RUN").maps("0")
    with pytest.raises(KeyError, match="no picture 'dog'"):
        open_run("RUN").row("dog")


@pytest.mark.parametrize("cut", [1, 0.3, 0.6, 0.99])
def test_wherever_the_index_is_cut_the_run_goes_on_to_the_same_files(photos: Path, cut: float) -> None:
    run()
    whole = kept()
    index = Path("RUN/index.jsonl")
    data = index.read_bytes()
    index.write_bytes(data[: int(len(data) * cut) if cut < 1 else 1])
    (Path("RUN/overlays") / "4.jpg").unlink()
    assert run() == 1
    assert kept() == whole


def test_a_file_that_is_gone_is_made_again_and_nothing_else(photos: Path) -> None:
    run()
    whole = kept()
    before = {name: (Path("RUN") / name).stat().st_mtime_ns for name in whole}
    (Path("RUN/overlays") / "4.jpg").unlink()
    run()
    assert kept() == whole
    changed = {name for name in whole if (Path("RUN") / name).stat().st_mtime_ns != before[name]}
    assert changed == {"overlays/4.jpg", "thumbs/4.jpg", "thumbs/4.heat.jpg", "index.jsonl"}


def test_a_class_rather_than_the_rest(photos: Path) -> None:
    run("--contrast", "rest", "--target", "red", "--save", "npy")
    found = Explainer(described(), ExplainerOptions(classes=("red",), contrast="rest"))(photos / "0.png")
    np.testing.assert_allclose(open_run("RUN").maps("0")["gradcam: 0 red"], found.maps[0].map, atol=1e-3)


def test_what_failed_is_done_again_when_asked_for(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 1
    red_and_blue(photos / "2.png")
    assert run() == 1, "it failed, and stays so"
    assert run("--retry-failed") == 0
    assert [row["status"] for row in open_run("RUN")] == ["done"] * 5
    again = kept()
    shutil.rmtree("RUN")
    run()
    assert kept() == again


def test_other_settings_are_refused_by_name(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    whole = kept()
    capsys.readouterr()
    assert run("--method", "hirescam", "--target", "red") == 1
    message = capsys.readouterr().err
    assert 'methods: ["gradcam"] then, ["hirescam"] now' in message
    assert 'classes: [] then, ["red"] now' in message
    assert kept() == whole
    (photos / "9.png").write_bytes((photos / "0.png").read_bytes())
    assert run() == 1
    assert "source" in capsys.readouterr().err
    assert run("--overwrite") == 1  # one is unreadable
    assert len(open_run("RUN")) == 6


def test_overwriting_deletes_what_the_run_wrote_and_nothing_else(photos: Path) -> None:
    run("--save", "heatmap")
    Path("RUN/overlays").mkdir(exist_ok=True)
    Path("RUN/overlays/mine.txt").write_text("mine", encoding="utf-8")
    run("--overwrite")
    files = set(kept())
    assert "overlays/mine.txt" in files
    assert "heatmaps/0.png" not in files
    assert "overlays/0.jpg" in files


def test_a_folder_that_is_no_run_is_left_alone(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("RUN/overlays").mkdir(parents=True)
    Path("RUN/overlays/mine.jpg").write_bytes(b"mine")
    assert run() == 1
    assert "it is no run" in capsys.readouterr().err
    assert set(kept()) == {"overlays/mine.jpg"}
    with pytest.raises(FileNotFoundError, match="is no run"):
        open_run("RUN")


def test_shares_make_the_same_run(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    whole = kept()
    shutil.rmtree("RUN")
    for number in (2, 1):
        run("--shard", f"{number}/3")
    assert "1 of 3 are not complete" in capsys.readouterr().out
    with pytest.raises(ValueError, match="not joined"):
        open_run("RUN")
    assert main(["run", "--merge", "RUN"]) == 1
    assert "1 shares of RUN are not complete yet: 3/3" in capsys.readouterr().err
    run("--shard", "3/3")
    assert kept() == whole
    (Path("RUN/index.jsonl")).unlink()
    assert main(["run", "--merge", "RUN"]) == 0
    assert kept() == whole


@pytest.mark.parametrize(
    ("environment", "share"),
    [
        ({"RANK": "1", "WORLD_SIZE": "4"}, Shard(2, 4)),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "5"}, Shard(3, 4)),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}, Shard(1, 2)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, None),  # a batch script, which is one process
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({}, None),
    ],
)
def test_the_share_that_a_launcher_gives(environment: dict[str, str], share: Shard | None) -> None:
    assert Shard.from_environment(environment) == share


def test_the_share_of_a_launcher_is_taken(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    run()
    assert RunFolder("RUN").shards() == [Shard(2, 2)]
    assert [row["position"] for row in RunFolder("RUN").index(Shard(2, 2)).rows()] == [2, 3]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1.5/3"])
def test_shares_that_there_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="is no share"):
        Shard.parse(text)


def test_only_what_is_interesting_is_explained(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--only", "class=dark blue") == 1
    rows = list(open_run("RUN"))
    assert [row["status"] for row in rows] == ["skipped", "skipped", "failed", "done", "skipped"]
    assert rows[0]["predicted"][0]["name"] == "red"
    assert "1 explained, 3 not asked for (--only), 1 failed" in capsys.readouterr().out
    assert run("--only", "happy") == 1
    assert "'happy' chooses no pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("wrong", [False, True, False]),
        ("right", [True, False, False]),
        ("confident", [True, False, False]),
        ("confident=0.6", [True, True, False]),
        ("uncertain", [False, False, True]),
        ("uncertain=0.9", [False, True, True]),
        ("class=cat", [False, True, True]),
        ("class=1", [False, True, True]),
    ],
)
def test_conditions(text: str, taken: list[bool]) -> None:
    seen = [[(0, 0.95), (1, 0.05)], [(1, 0.7), (0, 0.3)], [(1, 0.4), (0, 0.3)]]
    labels = [0, 0, None]
    condition = Selection.parse(text)
    assert [condition.takes(one, label, ("dog", "cat")) for one, label in zip(seen, labels, strict=True)] == taken
    assert not condition.takes([], 0, None)


@pytest.mark.parametrize("text", ["confident=2", "uncertain=much", "class=", "class", "wrong=1", ""])
def test_conditions_that_there_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="chooses no pictures"):
        Selection.parse(text)


def test_names_of_files_are_safe_and_differ() -> None:
    ids = [
        "a/b c",
        "../../etc/passwd",
        "/abs",
        "A",
        "a",
        "x" * 300,
        "",
        ".",
        "nul\0",
        "né",
        "a:b",
        "a?b",
        "\ud800",
        "C:\\x",
    ]
    names = FileNames(ids)
    made = [names[id] for id in ids]
    assert len({name.lower() for name in made}) == len(made)
    for name in made:
        path = Path("RUN", name)
        assert ".." not in path.parts
        assert not Path(name).is_absolute()
        assert max(map(len, path.parts)) < 120
        assert not set(name) & set('\\:*?"<>|\0')
    assert names["a/b c"] == "a/b c"
    assert names["né"] == "né"


def test_the_index_counts_whole_lines_and_the_last_of_a_picture(tmp_path: Path) -> None:
    index = RunIndex(tmp_path / "index.jsonl")
    index.add([{"position": 0, "status": "failed"}, {"position": 1, "status": "done"}])
    index.add([{"position": 0, "status": "done", "id": "ü\ud800"}])
    with open(index.path, "ab") as file:
        file.write(b'{"position": 2, "sta')
    again = RunIndex(index.path)
    assert again.statuses() == {0: "done", 1: "done"}
    again.put_in_order()
    again.add([{"position": 2, "status": "done"}])
    rows = [json.loads(line) for line in index.path.read_bytes().splitlines()]
    assert [row["position"] for row in rows] == [0, 1, 2]


def test_a_line_that_something_else_changed_is_one_picture_to_do_again(photos: Path) -> None:
    run()
    whole = kept()
    index = Path("RUN/index.jsonl")
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join([lines[0], b"{broken\n", *lines[2:]]))
    run()
    assert kept() == whole


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "name the pictures"),
        (["run", "photos"], "--output-dir"),
        (["run", "photos", "--merge", "RUN"], "--merge RUN takes nothing"),
        (["run", "photos", "--output-dir", "R", "--contrast", "a", "b", "--target", "a"], "--contrast takes the place"),
        (["run", "photos", "--output-dir", "R", "--contrast", "a"], "--contrast takes two classes, or the word rest"),
        (["run", "photos", "--output-dir", "R", "--noise-level", "nan"], "is not a number from 0 to 1"),
        (["run", "photos", "--output-dir", "R", "--save", "none", "npy"], "--save none"),
        (["run", "photos", "--output-dir", "R", "--shard", "1/2", "--overwrite"], "--overwrite deletes all shares"),
    ],
)
def test_options_that_cannot_be(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_a_network_that_fails_on_everything_ends_the_run(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crashing = ["--model", "helpers.colour_net:Crashing", "--target-layers", "colours"]
    assert main(["run", "photos", "--output-dir", "RUN", *crashing]) == 1
    assert "no such key" in capsys.readouterr().err
    assert "index.jsonl" not in kept()


def test_a_network_that_fails_on_all_that_is_left_is_known_to_work(photos: Path, here: Path) -> None:
    """A run that goes on does as one that was never interrupted: its last batch fails, and is counted."""
    for number in (3, 4):
        Image.new("RGB", (60, 90), "white").save(photos / f"{number}.png")
    command = ["run", "photos", "--output-dir", "RUN", *BATCHES, "--model", "helpers.colour_net:CrashingOnWhite"]
    command += ["--target-layers", "colours"]
    assert main(command) == 1
    whole = kept()
    assert [row["status"] for row in open_run("RUN")] == ["done", "done", "failed", "failed", "failed"]
    index = Path("RUN/index.jsonl")
    index.write_bytes(b"".join(index.read_bytes().splitlines(keepends=True)[:2]))
    assert main(command) == 1
    assert kept() == whole


def test_two_runs_in_one_folder(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "_MOMENT", 0.01)
    with RunFolder("RUN").writing(None):
        assert run() == 1
    assert "another run is writing into RUN" in capsys.readouterr().err


def test_flat_rows_are_a_table(photos: Path) -> None:
    run("--method", "gradcam", "eigencam")
    rows: list[dict[str, Any]] = list(open_run("RUN").flat_rows())
    assert len(rows) == 4 * 2 + 1
    assert {type(value) for row in rows for value in row.values()} <= {str, int, float, bool, type(None)}
    assert [row["method"] for row in rows[:2]] == ["gradcam", "eigencam"]


@pytest.mark.datasets
def test_tables_of_pandas_and_arrow(photos: Path) -> None:
    run("--method", "gradcam", "eigencam")
    opened = open_run("RUN")
    rows = list(opened.flat_rows())
    frame, table = opened.to_pandas(), opened.to_arrow()
    assert frame["method"].dropna().tolist() == ["gradcam", "eigencam"] * 4
    assert frame["id"].tolist() == [row["id"] for row in rows]
    assert table.num_rows == len(rows)
    assert table.column("status").to_pylist() == [row["status"] for row in rows]
    assert set(table.column_names) == set(frame.columns) == {name for row in rows for name in row}
