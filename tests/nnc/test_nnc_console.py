"""The four commands of ``nnc``: their options, and what they do with any network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.nnc_net import NET, pictures
from helpers.paths import ROOT
from PIL import Image

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.cli.nnc.options import parse
from pytorch_grad_cam.nnc.options import CONSOLE_COMMANDS as COMMANDS
from pytorch_grad_cam.nnc.options import NncOptions


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode in ("RGB", "L")
        return np.array(image).astype(int)


def options(*given: str) -> NncOptions:
    found = parse("cam.py nnc", given)
    assert isinstance(found, NncOptions)
    return found


# --- options --------------------------------------------------------------------------------------------------------


def test_the_plug_ins_defaults() -> None:
    single = options("gradcam", "-i", "a.png")
    assert (single.model, single.image, single.class_index) == ("results.nnp", "a.png", 0)
    assert (single.output, single.style, single.score) == ("grad_cam.png", "paper", "output")
    batch = options("gradcam-batch")
    assert (batch.model, batch.input, batch.output) == ("results.nnp", "output_result.csv", "gradcam.csv")
    assert (batch.input_variable, batch.label_variable) == ("x", "y")
    smooth = options("smoothgrad", "--image", "a.png")
    assert (smooth.noise_level, smooth.num_samples, smooth.output) == (0.15, 25, "smoothgrad.png")
    assert (smooth.layer_index, smooth.seed) == (0, 0)
    assert options("smoothgrad-batch").output == "smoothgrad.csv"


def test_long_and_short_names_mean_the_same() -> None:
    for command, long, short in (
        ("gradcam", "--model m --image i --class_index 2 --output o --contains_crop", "-m m -i i -c 2 -o o -cr True"),
        (
            "smoothgrad",
            "--model m --image i --class-index 2 --output o --noise_level 0.1 --num_samples 3 --layer_index 4",
            "-m m -image i -c 2 -o o -nl 0.1 -n 3 -li 4",
        ),
        (
            "gradcam-batch",
            "--input a --model m --input_variable p --label_variable q --output o --output_variable r",
            "-i a -m m -v1 p -v2 q -o o -ov r",
        ),
        (
            "smoothgrad-batch",
            "--input a --model m --input-variable p --label-variable q --output o --noise-level 1 --num-samples 1",
            "-i a -m m -v1 p -v2 q -o o -nl 1 -n 1",
        ),
    ):
        assert options(command, *long.split()) == options(command, *short.split())


def test_the_later_form_with_a_csv_beside_the_picture() -> None:
    later = options("gradcam", "-i", "output_result.csv", "-image", "a.png", "-ov", "y0'")
    assert (later.image, later.output_variable) == ("a.png", "y0'")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "name a command: gradcam, gradcam-batch, smoothgrad, smoothgrad-batch"),
        ("gradcm", "there is no command 'gradcm'; did you mean 'gradcam'?"),
        ("gradcam", "required: -i/--image"),
        ("gradcam -i a.csv", "a.csv is a CSV file; give a picture, or use the batch command"),
        ("gradcam -i a.png -image b.png", "two pictures were given, a.png and b.png"),
        ("gradcam -i a.png -c -1", "'-1' is not a whole number from 0"),
        ("gradcam -i a.png -c cat", "'cat' is not a whole number from 0"),
        ("gradcam -i a.png -cr maybe", "'maybe' is neither yes nor no"),
        ("smoothgrad -i a.png -nl 1.5", "'1.5' is not a number from 0 to 1"),
        ("smoothgrad -i a.png -nl nan", "'nan' is not a number from 0 to 1"),
        ("smoothgrad -i a.png -n 0", "'0' is not a whole number from 1"),
        ("smoothgrad -i a.png --style console", "invalid choice: 'console'"),
    ],
)
def test_wrong_options_are_one_line_and_2(given: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nnc", *given.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert not captured.out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("gradcam -i none.png", "there is no file none.png"),
        ("gradcam -i a.txt", "a.txt is not a picture in a known format"),
        ("gradcam -i p/0.png -o a.gif", "a.gif does not say which format to write"),
        ("gradcam -i p/0.png -c 3", "class 3 does not exist: the network has 3 outputs, 0 to 2"),
        ("gradcam -i p/0.png -m results.nnp", "results.nnp"),
        (
            "smoothgrad -i p/0.png -li 2",
            "--layer_index means a variable of a .nnp file, and helpers.nnc_net:tiny is none",
        ),
        (
            "gradcam -i p/0.png --score logit",
            "--score logit means what the last Softmax or Sigmoid of a .nnp file takes",
        ),
        ("gradcam -i p/0.png --style nnc --target-layers features.0 features.2", "the plug-in looks at one layer"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_1(
    given: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path, 1)
    Path("a.txt").write_text("no picture")
    assert main(["nnc", *given.split()[:1], *NET, *given.split()[1:]]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "p"]


def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    """What makes it fast is that torch is not loaded."""
    for words in ([], *([command] for command in COMMANDS)):
        code = (
            f"import sys; from pytorch_grad_cam.cli.main import main; code = main(['nnc', *{words!r}, '--help']);"
            "heavy = {'torch', 'numpy', 'cv2', 'PIL', 'tqdm'} & set(sys.modules); sys.exit(code or len(heavy))"
        )
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert all(command in run.stdout for command in words or COMMANDS)


def test_the_page_names_options_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    known = set()
    for command in COMMANDS:
        assert main(["nnc", command, "--help"]) == 0
        known |= set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", capsys.readouterr().out)) | {"-i"}
    page = (ROOT / "docs/console.md").read_text(encoding="utf-8")
    given = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*(?=[`, ])", page)) - {"-9"}
    assert len(given) > 25
    assert given <= known


# --- any network ----------------------------------------------------------------------------------------------------


def test_a_flat_map_is_drawn_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(tmp_path, 1)
    for command in ("gradcam", "smoothgrad"):
        for style in ("paper", "nnc"):
            given = ["-i", "p/0.png", "--model", "helpers.nnc_net:blind", "--style", style, "-o", "o.png"]
            assert main(["nnc", command, *given]) == 0
            assert "note: the map means nothing: " in capsys.readouterr().err
            if command == "smoothgrad":
                assert not pixels("o.png").any()
            elif style == "nnc":
                half = pixels("p/0.png") / 2
                np.testing.assert_array_equal(pixels("o.png"), (half + np.array([0, 0, 63.75])).astype(int))


def test_a_crop_in_the_network_frames_the_map(tmp_path: Path) -> None:
    pictures(tmp_path, 1)
    given = ["nnc", "gradcam", "-i", "p/0.png", "--model", "helpers.nnc_net:cropping", "-c", "1"]
    for style, around in (("nnc", 0.5), ("paper", 1)):
        assert main([*given, "--style", style, "-cr", "-o", "framed.png"]) == 0
        assert main([*given, "--style", style, "-o", "whole.png"]) == 0
        picture, framed = pixels("p/0.png"), pixels("framed.png")
        frame = np.ones((8, 8), bool)
        frame[2:-2, 1:-1] = False
        np.testing.assert_array_equal(framed[frame], (around * picture[frame]).astype(int))
        assert (framed[~frame] != pixels("whole.png")[~frame]).any()


def test_any_network_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(ROOT / "examples/images/scene_star_ring.png")
    given = ["-i", picture, "--model", "shapes", "-c", "3"]
    assert main(["nnc", "gradcam", *given, "--target-layers", "stage3"]) == 0
    assert main(["nnc", "smoothgrad", *given, "-n", "2", "--seed", "1"]) == 0
    captured = capsys.readouterr()
    assert "explained:  3 star, output " in captured.out
    assert not captured.err
    with Image.open(picture) as image:
        assert pixels("grad_cam.png").shape == (image.height, image.width, 3)
        assert pixels("smoothgrad.png").shape == (image.height, image.width)


def test_smoothgrad_finds_what_the_network_was_asked_for() -> None:
    """A scene with a ring and, right of it, a star: the gradients gather where the shape is."""
    picture = str(ROOT / "examples/images/scene_star_ring.png")
    shares = {}
    for index in (3, 5):
        given = ["-i", picture, "--model", "shapes", "-c", str(index), "-n", "8"]
        assert main(["nnc", "smoothgrad", *given]) == 0
        gray = pixels("smoothgrad.png")
        shares[index] = gray[55:108, 94:].sum() / gray.sum()  # of the star, the ring left out
    assert shares[3] > 2 * shares[5]
