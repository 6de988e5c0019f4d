"""The command evaluate: what it writes and says, how it goes on, what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pytorch_grad_cam.cli.evaluate import run as run_module
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.scenes import render_scene
from pytorch_grad_cam.evaluation.records import Records

FILES = ["evaluation.html", "scores.csv", "scores.json", "timing.json"]
COUNT = 3


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes as files, with their first object as boxes, masks and labels."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "masks").mkdir()
    boxes, labels = ["file,x1,y1,x2,y2,label"], ["file,label"]
    for index in range(COUNT):
        scene = render_scene(10_000 + index)
        first = scene.objects[0]
        Image.fromarray(scene.image).save(folder / f"s{index}.png")
        Image.fromarray(first.mask).save(folder / "masks" / f"s{index}.png")
        boxes.append(f"s{index}.png,{','.join(map(str, first.box))},{first.label}")
        labels.append(f"s{index},{first.label}")
    (folder / "boxes.csv").write_text("\n".join(boxes))
    (folder / "labels.csv").write_text("\n".join(labels))
    return folder


def evaluate(photos: Path, out: Path, *more: object) -> int:
    pictures = ["--image-path", str(photos), "--model", "shapes", "--output-dir", str(out)]
    given = ["--metric", "average_drop", "gini"] if "--metric" not in more and "--sanity" not in more else []
    return main(["evaluate", *pictures, "--method", "gradcam", "eigencam", *given, *map(str, more)])


def test_files_and_sentences(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(photos, tmp_path, "--metric", "energy_to_chance", "--masks", photos / "masks") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "gradcam stage4" in out
    assert "Which methods beat the reference maps here?\n  On these 3 pictures, by energy_to_chance" in out
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock") == FILES
    rows = list(csv.DictReader(io.StringIO((tmp_path / "scores.csv").read_text())))
    assert len(rows) == COUNT * 6
    assert {row["method"] for row in rows} == {"gradcam", "eigencam", "random", "uniform", "centre", "edges"}
    data = json.loads((tmp_path / "scores.json").read_text())
    assert [image["id"] for image in data["images"]] == ["s0", "s1", "s2"]
    assert data["rows"][0]["scores"]["energy_to_chance"]["values"][0] == float(rows[0]["energy_to_chance"])
    assert "gradcam stage4" in json.loads((tmp_path / "timing.json").read_text())["milliseconds_per_map"]
    assert (tmp_path / "evaluation.html").read_text().count("data:image/jpeg") == COUNT


@pytest.mark.again
def test_boxes_and_labels_say_what_is_explained(photos: Path, tmp_path: Path) -> None:
    first_objects = [render_scene(10_000 + index).objects[0].index for index in range(COUNT)]
    assert evaluate(photos, tmp_path / "a", "--boxes", photos / "boxes.csv", "--metric", "pointing_game") == 0
    assert evaluate(photos, tmp_path / "b", "--labels", photos / "labels.csv") == 0
    assert evaluate(photos, tmp_path / "c", "--target", "star") == 0
    for name, expected in (("a", first_objects), ("b", first_objects), ("c", None)):
        data = json.loads((tmp_path / name / "scores.json").read_text())
        classes = [image["class"] for image in data["images"]]
        assert classes == (expected or [classes[0]] * COUNT)
    assert {image["label"] for image in data["images"]} == {"star"}


@pytest.mark.again
def test_a_run_that_was_stopped_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(photos, tmp_path / "whole", "--batch-size", 2) == 0
    add, count = Records.add, 0

    def interrupted(self: Records, *arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 9:
            raise KeyboardInterrupt
        add(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Records, "add", interrupted)
        assert evaluate(photos, tmp_path / "parts", "--batch-size", 2) == 130
    assert "the same command goes on there" in capsys.readouterr().err
    assert not (tmp_path / "parts" / "scores.csv").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Records, "add", lambda self, *arguments: (add(self, *arguments), measured.append(1)))
        measured: list[int] = []
        assert evaluate(photos, tmp_path / "parts", "--batch-size", 2) == 0
    assert len(measured) == 2 * 7 - 8
    for name in ("scores.csv", "scores.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    assert not (tmp_path / "parts" / ".evaluation.jsonl").exists()


@pytest.mark.again
def test_files_of_an_earlier_run_stay(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(photos, tmp_path) == 0
    assert evaluate(photos, tmp_path) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert evaluate(photos, tmp_path, "--overwrite") == 0


def test_a_picture_that_cannot_be_read_stops_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    pictures = ["--image-path", str(broken), str(photos / "s0.png"), "--masks", str(tmp_path)]
    how = ["--model", "shapes", "--metric", "gini", "--method", "gradcam", "--output-dir", str(tmp_path / "out")]
    assert main(["evaluate", *pictures, *how]) == 1
    err = capsys.readouterr().err
    assert "broken.png is not a picture" in err
    assert "there is no mask of it" in err
    assert len(json.loads((tmp_path / "out" / "scores.json").read_text())["images"]) == 1


@pytest.mark.slow  # its verdicts are tested in tests/evaluation
def test_sanity(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(photos, tmp_path, "--sanity") == 0
    out = capsys.readouterr().out
    assert "Does gradcam stage4 pass the sanity checks?\n  Yes" in out
    assert "Does eigencam stage4 pass the sanity checks?\n  No, its map is the same whatever the class" in out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--metric", "insertio"], "did you mean 'insertion'"),
        (["--metric", "px_ap"], "px_ap needs masks"),
        (["--layers", "stage9"], "no layer 'stage9'"),
        (["--target", "stair"], "no class is called 'stair'"),
        (["--boxes", "nowhere.csv"], "there is no file of boxes nowhere.csv"),
        (["--masks", "nowhere"], "there is no folder of masks nowhere"),
        (["--labels", "nowhere.csv"], "there is no file nowhere.csv"),
    ],
)
def test_what_cannot_be_evaluated(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert evaluate(photos, tmp_path, *more) == 1
    assert message in capsys.readouterr().err


def test_masks_of_another_size_are_said(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.ones((5, 6), bool)).save(tmp_path / "s1.png")
    assert evaluate(photos, tmp_path / "out", "--masks", tmp_path) == 1
    assert "its mask has 6 x 5 pixels, the picture 128 x 128" in capsys.readouterr().err


@pytest.mark.again
def test_stopped_while_it_writes(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some files are there then, and the same command makes the others."""
    write = run_module.write_bytes

    def dies(path: Path, content: bytes) -> None:
        if path.name == "scores.json":
            raise SystemExit(137)
        write(path, content)

    monkeypatch.setattr(run_module, "write_bytes", dies)
    with pytest.raises(SystemExit):
        evaluate(photos, tmp_path / "one")
    assert (tmp_path / "one" / "scores.csv").exists()
    monkeypatch.undo()
    assert evaluate(photos, tmp_path / "one") == 0
    assert evaluate(photos, tmp_path / "two") == 0
    for name in ("scores.csv", "scores.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert evaluate(photos, tmp_path / "one") != 0  # finished: now it would overwrite
