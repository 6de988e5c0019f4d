"""What the command line says when something is wrong: one sentence, no traceback, no file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.colour_net import NET
from PIL import Image

from pytorch_grad_cam import __version__
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.targets.class_names import find_class


def failing(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run a command that must fail, with one line on stderr and no file; return the line."""
    assert main(list(argv)) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Downloading: ")]  # torch's
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert not list(Path("output").glob("*")) if Path("output").exists() else True
    return lines[0]


def test_version_and_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip().endswith(__version__)
    for argv, message in (
        ([], "required: --image-path"),
        (["--image-path", "a", "--method", "gradcan"], "unknown method 'gradcan'; did you mean 'gradcam'?"),
        (["--image-path", "a", "--size", "0"], "'0' is not a positive number of pixels"),
        (["--image-path", "a", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["--image-path", "a", "--targt=3"], "unrecognized arguments: --targt=3; did you mean --target? (--help"),
    ):
        assert main(argv) == 2
        captured = capsys.readouterr()
        assert not captured.out
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("error: ")
        assert message in captured.err


def test_files_that_are_no_pictures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.jpg").write_text("hello")
    Path("cut.png").write_bytes(Path("both.png").read_bytes()[:150])
    Path("folder").mkdir()
    assert "there is no file nope.jpg" in failing(capsys, "--image-path", "nope.jpg", *NET)
    assert "text.jpg is not a picture" in failing(capsys, "--image-path", "text.jpg", *NET)
    assert "cut.png cannot be read as a picture" in failing(capsys, "--image-path", "cut.png", *NET)
    assert "the folder folder has no pictures" in failing(capsys, "--image-path", "folder", *NET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([*NET, "--target-layers", "colour"], "the model has no layer 'colour'; close names: colours"),
        ([*NET, "--target", "blue"], "no class is called 'blue'; did you mean 'dark blue' (1)?"),
        ([*NET, "--target", "3"], "the class index 3 is out of range; this network has 0 to 2"),
        ([*NET, "--target", "-1"], "the class index -1 is out of range; this network has 0 to 2"),
        ([*NET, "--device", "gpu"], "the device 'gpu' cannot be used here; --device cpu always can"),
        ([*NET, "--mean", "0.5"], "mean has 1 numbers and std 3"),
        ([*NET, "--output-dir", "both.png"], "both.png is not a folder; choose another folder"),
        ([*NET, "--weights", "cut.pth"], "cut.pth is damaged or incomplete"),
        (["--model", "resnet19"], "the model 'resnet19' is unknown; did you mean resnet18"),
        (
            ["--model", "resnet18"],
            "could not be fetched from https://download.pytorch.org/models/resnet18-f37072fd.pth",
        ),
        (["--model", "resnet18", "--weights", "no.pth"], "the file of weights no.pth does not exist"),
        (["--model", "no_such:net"], "there is no module 'no_such'"),
        (["--model", "helpers.colour_net:Crashing"], "KeyError: 'no such key' (--debug shows where)"),
    ],
)
def test_mistakes_get_one_sentence(
    options: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"a": torch.zeros(1000)}, "whole.pth")
    Path("cut.pth").write_bytes(Path("whole.pth").read_bytes()[:2000])
    assert message in failing(capsys, "--image-path", "both.png", *options)


@pytest.mark.filterwarnings("error")  # the warning of the library would be a second line
def test_a_map_that_means_nothing_is_not_drawn(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failing(capsys, "--image-path", "both.png", *NET, "--target", "nothing")
    assert line.startswith("error: nothing was drawn, the map means nothing: constant map at layer 'colours'")


def test_a_note_on_a_map_that_means_something(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    explain = BaseCAM.explain

    def noted(*args: Any, **options: Any) -> Explanation:
        return replace(explain(*args, **options), notes=(("10 % of the score cannot be drawn",),))

    monkeypatch.setattr(BaseCAM, "explain", noted)
    assert main(["--image-path", "both.png", *NET]) == 0
    assert capsys.readouterr().err == "note: 10 % of the score cannot be drawn\n"
    assert Path("output/gradcam_cam.jpg").exists()


def test_debug_shows_the_traceback(here: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file nope.jpg"):
        main(["--image-path", "nope.jpg", *NET, "--debug"])


@pytest.mark.parametrize("where", [(BaseCAM, "explain"), (Image.Image, "save")])
def test_ctrl_c_leaves_nothing(
    where: tuple[type, str], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*where, interrupted)
    assert main(["--image-path", "both.png", *NET]) == 130
    assert capsys.readouterr().err == "error: interrupted; nothing was left half written\n"
    assert not Path("output").exists()


def test_classes_by_name() -> None:
    names = ("crane", "Cardigan", "cardigan", "tiger cat", "maillot", "maillot", "polecat", "catamaran")
    assert find_class("crane", names) == 0
    assert find_class("Cardigan", names) == 1
    assert find_class("cardigan", names) == 2
    assert find_class("'TIGER_cat'", names) == 3
    assert find_class(" 4 ", names) == 4
    assert find_class("7", None) == 7
    with pytest.raises(ValueError, match=r"'CARDIGAN' names several classes: 'Cardigan' \(1\), 'cardigan' \(2\); give"):
        find_class("CARDIGAN", names)
    with pytest.raises(ValueError, match=r"'maillot' names several classes: 'maillot' \(4\), 'maillot' \(5\)"):
        find_class("maillot", names)
    with pytest.raises(
        ValueError, match=r"'cat'; did you mean 'tiger cat' \(3\), 'polecat' \(6\), 'catamaran' \(7\)\?"
    ):
        find_class("cat", names)
    with pytest.raises(
        ValueError, match=r"'tigr cat'; did you mean 'tiger cat' \(3\)\? Give a name or an index from 0 to 7"
    ):
        find_class("tigr cat", names)
    with pytest.raises(ValueError, match="no class is called 'xyz'; give a name or an index from 0 to 7"):
        find_class("xyz", names)
    with pytest.raises(ValueError, match="the class index -2 is negative"):
        find_class("-2", None)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_a_task_that_the_network_does_not_do(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "picture.png"
    write_gray(picture)
    given = ["--image-path", str(picture), "--model", "shapes", "--task", task, "--output-dir", str(tmp_path / "out")]
    assert main(given) == 1
    said = capsys.readouterr().err
    assert f"this network does no {task}: " in said
    assert "; leave out --task, or choose a network for it with --model" in said
    assert "read=" not in said


def test_concepts_without_a_class_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "picture.png"
    write_gray(picture)
    given = ["concepts", "--image-path", str(picture), "--model", "shapes", "--output-dir", str(tmp_path / "out")]
    assert main([*given, "--components", "2"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "concept " in line]
    assert len(lines) == 2
    table = json.loads((tmp_path / "out" / "concepts.json").read_text(encoding="utf-8"))
    nameless = [not each["classes"] for each in table["concepts"]]
    assert [line.endswith(", no class above 50 %") for line in lines] == nameless
    assert any(nameless)


def write_gray(path: Path) -> None:
    from PIL import Image

    Image.effect_noise((64, 64), 9).convert("RGB").save(path)


def test_the_number_of_pixels_is_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 20)).save(path)
    arguments = ["layers", "--model", "shapes", "--image-path", str(path), "--max-pixels"]
    assert main([*arguments, "599"]) == 1
    assert "has 30 x 20 pixels, more than the 599 that are read" in capsys.readouterr().err
    assert main([*arguments, "600"]) == 0
