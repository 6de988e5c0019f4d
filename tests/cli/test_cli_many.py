"""Many pictures, methods and classes in one run: names of files, failures, and what is never overwritten."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.colour_net import NET, red_and_blue
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.cli.explain import run as explain_run
from pytorch_grad_cam.cli.explain.drawing import MANY
from pytorch_grad_cam.cli.explain.image_files import ENDINGS
from pytorch_grad_cam.cli.explain.options import COLORMAPS, KINDS
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.cli.method_names import ALL, chosen_methods, special_methods
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.random_cam import RandomCAM
from pytorch_grad_cam.score_cam import ScoreCAM

LAYER = ["--target-layers", "colours"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures and a text that says it were one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the working folder is added to it
    Path("pics").mkdir()
    red_and_blue("pics/one.png")
    Image.fromarray(red_and_blue()[:, ::-1]).save("pics/two.png")
    return tmp_path


def written(folder: str = "output") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def run(*options: str) -> int:
    return main([*options, *NET, *LAYER])


# --- one picture ----------------------------------------------------------------------------------------------------


def test_several_methods_and_classes_of_one_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--method", "gradcam", "eigencam", "--method", "GradCAM", "--target", "red", "--target", "1"]
    assert run("--image-path", "pics/one.png", *options) == 0
    names = {"gradcam_0_red", "gradcam_1_dark_blue", "eigencam"}
    guided = {"guided_0_red_gb.jpg", "guided_1_dark_blue_gb.jpg"}  # once, being the same for all methods
    assert written() == {name + end for name in names for end in ("_cam.jpg", "_cam_gb.jpg")} | guided | {"grid.jpg"}
    captured = capsys.readouterr()
    assert captured.err == "warning: eigencam looks at no class; --target is ignored\n"
    assert "explained:  0 red\n            1 dark blue\nmethods:    gradcam, eigencam\n" in captured.out
    height, width = read_image("output/grid.jpg").shape[:2]
    assert width > 3 * 224  # the picture and two classes
    assert height > 2 * 140


def test_the_top_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--image-path", "pics/one.png", "--target", "top-2", "--target", "red", "--save", "overlay") == 0
    assert written() == {"gradcam_0_red_cam.jpg", "gradcam_1_dark_blue_cam.jpg", "grid.jpg"}
    assert "explained:  0 red\n            1 dark blue\n" in capsys.readouterr().out
    assert run("--image-path", "pics/one.png", "--target", "top-0") == 1
    assert capsys.readouterr().err == "error: 'top-0' names no class; give top-1 or more\n"


def test_every_kind_of_file(here: Path) -> None:
    assert run("--image-path", "pics/one.png", "--target", "red", "--save", *KINDS) == 0
    assert written() == {"gradcam" + ending for endings in ENDINGS.values() for ending in endings}
    heat: NDArray[np.float32] = np.load("output/gradcam_cam.npy")
    assert heat.shape == (60, 90)
    assert heat.dtype == np.float32
    assert np.isnan(heat[:, :14]).all()
    assert not np.isnan(heat[:, 16:74]).any()
    record = json.loads(Path("output/gradcam.json").read_text())
    assert record["class"] == {"index": 0, "name": "red"}
    assert record["predicted"][0] == {"index": 0, "name": "red", "share": pytest.approx(0.99, abs=0.01)}
    assert (record["height"], record["width"], record["method"], record["layers"]) == (60, 90, "gradcam", ["colours"])
    (box,) = json.loads(Path("output/gradcam_boxes.json").read_text())
    assert record["boxes"] == [box]
    for side, expected in {"left": 24, "right": 40, "top": 20, "bottom": 40}.items():
        assert abs(box[side] - expected) <= 2
    drawn = np.abs(read_image("output/gradcam_boxes.jpg").astype(int) - red_and_blue()).max(2)
    assert drawn[30, box["left"]] < 120  # red on red
    assert drawn[30, 60] < 60
    assert read_image("output/gradcam_heatmap.png")[30, [5, 32, 62]].tolist()[0] == [128, 128, 128]
    guided = read_image("output/gradcam_gb.jpg").astype(int)
    assert np.abs(guided[:, :14] - 127).max() < 12
    assert guided.shape == (60, 90, 3)


def test_colours_and_weights(here: Path) -> None:
    options = ["--colormap", "VIRIDIS", "--save", "heatmap", "overlay", "--image-weight", "1"]
    assert run("--image-path", "pics/one.png", *options) == 0
    assert read_image("output/gradcam_heatmap.png")[10, 45].tolist() == [68, 1, 84]
    assert np.abs(read_image("output/gradcam_cam.jpg").astype(int) - red_and_blue()).max() < 40
    import cv2

    assert {f"COLORMAP_{name.upper()}" for name in COLORMAPS} == {n for n in dir(cv2) if n.startswith("COLORMAP_")}


def test_box_thresholds(here: Path) -> None:
    areas = []
    for threshold in ("0.9", "0.1", "p50", "otsu"):
        options = ["--save", "boxes", "--box-threshold", threshold, "--target", "red"]
        assert run("--image-path", "pics/one.png", *options) == 0
        areas.append(sum(box["area"] for box in json.loads(Path("output/gradcam_boxes.json").read_text())))
    assert areas[0] < areas[1]
    assert min(areas) > 0


def test_options_reach_the_methods(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    explain = BaseCAM.explain

    def noted(self: BaseCAM, *args: object, **options: object) -> object:
        seen[type(self)] = vars(self)
        return explain(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BaseCAM, "explain", noted)
    options = ["--method", "scorecam", "randomcam", "--batch-size", "3", "--seed", "7"]
    assert run("--image-path", "pics/one.png", *options) == 0
    assert seen[ScoreCAM]["batch_size"] == 3
    assert seen[ScoreCAM]["progress"] is False  # that of the run belongs to one map
    assert seen[RandomCAM]["seed"] == 7


def test_precision_reaches_the_passes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method of one pass runs under autocast; one of many casts those over changed inputs itself."""
    seen: dict[type[BaseCAM], tuple[bool, torch.dtype | None]] = {}
    explain = BaseCAM.explain

    def noted(self: BaseCAM, *args: object, **options: object) -> object:
        seen[type(self)] = torch.is_autocast_enabled("cpu"), getattr(self, "dtype", None)
        return explain(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BaseCAM, "explain", noted)
    methods = ["--image-path", "pics/one.png", "--method", "gradcam", "scorecam", "--save", "npy", "--overwrite"]
    maps = []
    for more in ([], ["--dtype", "bfloat16"]):
        assert run(*methods, *more) == 0
        maps.append(np.stack([np.load(f"output/{name}_cam.npy") for name in ("gradcam", "scorecam")]))
        lower = bool(more)
        dtype = torch.bfloat16 if lower else None
        # The time of a pass is that of most.
        assert seen == {GradCAM: (lower, None), ScoreCAM: (False, dtype), RandomCAM: (lower, None)}
    np.testing.assert_allclose(maps[1], maps[0], atol=0.03)


def test_without_relu_there_is_no_guided_backpropagation(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = ["--model", "helpers.colour_net:smooth", *LAYER]
    assert main(["--image-path", "pics/one.png", *net]) == 0
    captured = capsys.readouterr()
    assert written() == {"gradcam_cam.jpg"}
    assert "not drawn:  guided backpropagation: there is no ReLU between" in captured.out
    assert not captured.err
    assert main(["--image-path", "pics/one.png", *net, "--save", "overlay", "guided"]) == 1
    assert capsys.readouterr().err.startswith("error: guided backpropagation: there is no ReLU between")


def test_a_map_that_means_nothing_does_not_stop_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--image-path", "pics/one.png", "--target", "red", "--target", "nothing", "--save", "overlay") == 1
    assert written() == {"gradcam_0_red_cam.jpg", "grid.jpg"}
    line = capsys.readouterr().err
    assert line.startswith("error: gradcam, class 2 nothing: nothing was drawn, the map means nothing: constant map")
    assert line.count("\n") == 1


def test_many_methods_of_one_class_fit_on_a_screen(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = [name for name in METHODS if name.endswith("cam") or name.endswith("++")][: MANY + 1]
    assert run("--image-path", "pics/one.png", "--method", *methods, "--target", "red", "--save", "overlay") == 0
    height, width = read_image("output/grid.jpg").shape[:2]
    assert width < 2 * height < 4 * width  # not a column
    assert f", ... ({MANY + 1} in all)\n" in capsys.readouterr().out


def test_all_methods_are_those_that_ask_for_no_special_network() -> None:
    special = {name for name, method in METHODS.items() if method.needs}
    assert len(special) > 3
    assert set(chosen_methods([ALL])) == set(METHODS) - special
    assert set(chosen_methods(["legrad", ALL])) == set(METHODS) - special | {"legrad"}
    said = special_methods(["legrad"])
    assert "legrad" not in said
    assert all(name in said for name in special - {"legrad"})
    assert not special_methods(special)


def test_names_of_another_network(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("names.txt").write_text("rot\nblau\nnichts\n")
    assert run("--image-path", "pics/one.png", "--categories", "names.txt", "--target", "blau") == 0
    assert "explained:  1 blau" in capsys.readouterr().out
    Path("names.txt").write_text("rot\nblau\n")
    assert run("--image-path", "pics/one.png", "--categories", "names.txt", "--output-dir", "new") == 1
    assert capsys.readouterr().err == "error: there are 2 class names, but the network has 3 outputs\n"
    assert not Path("new").exists()


# --- many pictures --------------------------------------------------------------------------------------------------


def test_a_folder_of_pictures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--image-path", "pics") == 0
    assert written() == {"one/gradcam_cam.jpg", "two/gradcam_cam.jpg", "contact_sheet.jpg"}
    captured = capsys.readouterr()
    assert not captured.err
    assert captured.out.splitlines() == [
        f"{Path('pics/one.png')}: 0 red 99.1 %; 1 file in {Path('output/one')}",
        f"{Path('pics/two.png')}: 0 red 99.1 %; 1 file in {Path('output/two')}",
        "written:    3 files in output",
    ]
    assert read_image("output/contact_sheet.jpg").shape[1] > 2 * 192


def test_of_many_pictures_the_command_for_data_sets_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_run, "_MANY", 2)
    assert run("--image-path", "pics") == 0
    assert "the command run explains them in batches" in capsys.readouterr().out.splitlines()[0]


def test_one_that_fails_does_not_stop_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pics/bad.jpg").write_text("hello")
    sources = ["pics/*", "missing.png", "*.gif"]
    assert run("--image-path", *sources, "--method", "gradcam", "layercam") == 1
    names = {
        f"{name}/{file}" for name in ("one", "two") for file in ("gradcam_cam.jpg", "layercam_cam.jpg", "grid.jpg")
    }
    assert written() == names | {"contact_sheet.jpg"}
    bad = Path("pics/bad.jpg")
    assert capsys.readouterr().err.splitlines() == [
        "error: no file matches *.gif; check the pattern",
        f"error: {bad} is not a picture in a known format; give e.g. a JPEG or PNG file",
        "error: there is no file missing.png; check the path",
        f"error: 2 of 4 pictures failed: {bad}, missing.png",
    ]


def test_a_failing_network_is_said_for_each_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--image-path", "pics", "--model", "helpers.colour_net:Crashing"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == f"error: {Path('pics/one.png')}: KeyError: 'no such key' (--debug shows where)"
    assert not Path("output").exists() or not written()


def test_other_files_are_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--image-path", "pics") == 0
    for name in written():
        Path("output", name).write_bytes(b"kept")
    Path("output/two/gradcam_cam.jpg").unlink()
    capsys.readouterr()
    assert run("--image-path", "pics") == 1
    lines = capsys.readouterr().err.splitlines()
    assert f"{Path('output/one/gradcam_cam.jpg')} exists already; --overwrite replaces what is there" in lines[0]
    assert Path("output/one/gradcam_cam.jpg").read_bytes() == b"kept"
    assert read_image("output/two/gradcam_cam.jpg").shape == (60, 90, 3)
    assert run("--image-path", "pics", "--overwrite") == 0
    assert read_image("output/one/gradcam_cam.jpg").shape == (60, 90, 3)
    assert run("--image-path", "pics/one.png", "--save", "overlay") == 0
    assert run("--image-path", "pics/two.png", "--save", "overlay") == 0  # one picture's names are always the same


def test_contact_sheets_of_two_runs_stand_side_by_side(here: Path) -> None:
    assert run("--image-path", "pics") == 0
    red_and_blue("pics/three.png")
    red_and_blue("pics/four.png")
    assert run("--image-path", "pics/three.png", "pics/four.png") == 0
    assert {"contact_sheet.jpg", "contact_sheet_2.jpg"} < written()


@pytest.mark.parametrize("pictures", ["pics", "pics/one.png"])
def test_ctrl_c_in_the_middle_of_scorecam(
    pictures: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pytorch_grad_cam.score_cam as score_cam

    calls = []
    masked = score_cam._masked

    def interrupted(*args: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return masked(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(score_cam, "_masked", interrupted)
    options = ["--method", "gradcam", "scorecam", "--batch-size", "1" if pictures != "pics" else "8"]
    assert run("--image-path", pictures, *options) == 130
    captured = capsys.readouterr()
    if pictures == "pics":
        kept = f"{Path('pics/two.png')}: 1 of 2 maps are done and kept in {Path('output/two')} (gradcam)"
        said = f"error: interrupted; 1 of 2 pictures were done, {kept}, nothing was left half written\n"
        assert captured.err == said
        assert written() == {"one/gradcam_cam.jpg", "one/scorecam_cam.jpg", "one/grid.jpg", "two/gradcam_cam.jpg"}
    else:
        said = "1 of 2 maps are done and kept in output (gradcam), nothing was left half written"
        assert captured.err == f"error: interrupted; {said}\n"
        assert written() == {"gradcam_cam.jpg", "gradcam_cam_gb.jpg", "guided_gb.jpg"}
    for name in written():
        read_image(f"output/{name}")  # whole


def test_a_method_that_does_not_suit_the_network_stops_no_other(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--image-path", "pics/one.png", *NET, *LAYER, "--save", "overlay", "--target", "0", "1", "--method"]
    assert main([*given, "legrad", "gradcam"]) == 1
    assert written() == {"gradcam_0_red_cam.jpg", "gradcam_1_dark_blue_cam.jpg", "grid.jpg"}
    assert "error: legrad: attention over all tokens" in capsys.readouterr().err
    assert main([*given, "legrad", "attentionrollout", "--output-dir", "none"]) == 1
    assert "error: attention over all tokens" in capsys.readouterr().err
    assert not Path("none").exists()
