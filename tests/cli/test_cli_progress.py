"""Nobody waits in the dark and nothing finished is lost: lines, estimates, limits, and files of other pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.colour_net import NET, red_and_blue
from helpers.counted_networks import SETTINGS, SHAPES, counted_call, passes_by_formula
from PIL import Image

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.cli.explain import schedule as schedules
from pytorch_grad_cam.cli.explain import watch as watches
from pytorch_grad_cam.cli.explain.owners import comment_for
from pytorch_grad_cam.cli.explain.schedule import duration, even_share
from pytorch_grad_cam.cli.explain.watch import Watch
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import image_comment, read_image
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.runs.map_cost import NetworkCost, fewer_samples, passes_of, value_of

LAYER = ["--target-layers", "colours"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the working folder is added to it
    red_and_blue("dog.png")
    Image.fromarray(red_and_blue()[:, ::-1]).save("cat.png")
    return tmp_path


def written(folder: str = "output") -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def run(*options: str) -> int:
    return main([*options, *NET, *LAYER])


# --- lines, files and limits ------------------------------------------------------------------------------------------


def test_each_map_is_said_and_written_when_it_is_done(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[str], list[str]]] = []
    explain = BaseCAM.explain

    def noted(self: BaseCAM, *args: object, **options: object) -> object:
        said = capsys.readouterr().out
        seen.append((written() if Path("output").exists() else set(), said.splitlines()))
        return explain(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BaseCAM, "explain", noted)
    assert run("dog.png", "--method", "gradcam", "layercam", "eigencam", "--save", "overlay", "json") == 0
    first, second, third = seen
    assert not first[0]
    assert first[1][0] == "picture:    dog.png"
    assert second[0] == {"gradcam_cam.jpg", "gradcam.json"}
    (line,) = second[1]
    assert line.startswith("   1 of 3   gradcam, ")
    assert line.endswith(f": {Path('output/gradcam_cam.jpg')}")
    assert third[0] == {"gradcam_cam.jpg", "gradcam.json", "layercam_cam.jpg", "layercam.json"}
    assert third[1][0].startswith("   2 of 3   layercam, ")


def test_long_work_is_announced(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "LONG", 0.0)
    assert run("dog.png", "--method", "rise", "--num-samples", "20", "--save", "overlay") == 0
    lines = capsys.readouterr().out.splitlines()
    (place,) = (index for index, line in enumerate(lines) if line.startswith("to do:      1 map, about 21 passes, "))
    assert "--budget 60s or --max-passes 500 make it shorter, Ctrl-C keeps what is done" in lines[place]
    assert lines[place + 1].startswith("   1 of 1   rise, ")
    assert "; 21 of 21 passes: " in lines[place + 1]
    assert lines.count("picture:    dog.png") == 1
    assert run("dog.png", "cat.png", "--method", "rise", "--num-samples", "20", "--output-dir", "many") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "picture:    dog.png"
    assert "about 21 passes, 0.0 s for each of 2 pictures, 0.0 s in all" in lines[1]


def test_no_map_takes_more_passes_than_allowed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = ["gradcam", "rise", "smoothgrad", "sscam"]
    given = ["--method", *methods, "--save", "json", "--max-passes", "30"]
    assert run("dog.png", *given) == 0
    records = {name: json.loads(Path(f"output/{name}.json").read_text()) for name in methods}
    assert records["gradcam"]["fewer_samples"] == {}
    assert records["smoothgrad"]["fewer_samples"] == {"num_samples": 9}  # F + 9 (F + B), where B counts as 2 F
    assert records["smoothgrad"]["passes"] == 28
    assert records["sscam"]["fewer_samples"] == {"num_samples": 9}  # (1 + 9 K) F, where K = 3
    assert records["sscam"]["passes"] == 28
    assert records["rise"]["left_out"] == "it takes 1,001 passes and cannot do with the 30 that --max-passes 30 allows"
    captured = capsys.readouterr()
    assert f"not drawn:  rise: {records['rise']['left_out']}" in captured.out
    assert "(with 9 samples only)" in captured.out
    assert not captured.err


def test_when_the_time_is_over_nothing_more_is_made(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(schedules.time, "monotonic", lambda: now[0])
    explain = BaseCAM.explain

    def slow(self: BaseCAM, *args: object, **options: object) -> object:
        now[0] += 8.0 if type(self).__name__ == "LayerCAM" else 0.0
        return explain(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BaseCAM, "explain", slow)
    given = ["--method", "layercam", "eigencam", "hirescam", "--save", "overlay", "json", "--budget", "5s"]
    assert run("dog.png", *given) == 0
    # The cheapest first, then what takes as much in the order of the command.
    assert written() == {name + end for name in ("eigencam", "layercam") for end in ("_cam.jpg", ".json")} | {
        "hirescam.json",
        "grid.jpg",
    }
    assert "not drawn:  hirescam: the time that --budget 5.0 s leaves is over" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["60", "60s", "1m", "0.5h"])
def test_a_budget_in_words(text: str, here: Path) -> None:
    from pytorch_grad_cam.cli.explain.options import parse

    wanted = 1800.0 if text == "0.5h" else 60.0
    assert parse("cam", ["a.png", "--budget", text]).budget == wanted


@pytest.mark.parametrize("text", ["0s", "soon", "-3m", "", "5d"])
def test_a_budget_that_is_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a.png", f"--budget={text}"]) == 2
    assert "is no time; give one such as 60s, 5m or 1h" in capsys.readouterr().err


def test_a_long_map_tells_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(watches.time, "monotonic", lambda: now[0])
    with Watch(print, 1, 100.0, lines=False) as watch:
        watch.begin_map("rise", 100.0)
        for done in range(1, 101):
            now[0] += 1.0
            watch.step(done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "            rise: 20 %, 20 s so far, about 80 s to go"
    assert len(lines) == 4


# --- what is counted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_passes_as_they_are_counted(method: object) -> None:
    """The estimate is what a network counts, with a backward pass for two."""
    assert isinstance(method, type(METHODS["gradcam"]))
    cam, image, _ = counted_call(method)
    counted = passes_by_formula(method.passes, method)
    weights = {"F": 1.0, "B": 2.0, "Ft": 0.25, "Bt": 0.5}
    shape = SHAPES[method.needs]
    network = NetworkCost(0.01, shape.get("K", 0), shape["n"], 0.25)
    wanted = sum(weights[kind] * count for kind, count in counted.items())
    assert passes_of(method.name, cam, network, tuple(image.shape[2:]), {}) == pytest.approx(wanted)


def test_formulas() -> None:
    letters = {"F": 1.0, "B": 2.0, "N": 3.0, "K": 5.0}
    assert value_of("F", letters) == 1
    assert value_of("2 F + N (F + B)", letters) == 2 + 3 * 3
    assert value_of("(1 + N K) F", letters) == 16


def test_as_many_samples_as_fit() -> None:
    assert {"sscam", "rise"} <= set(SETTINGS)
    network = NetworkCost(0.01, 512, 49, 0.1)

    def reduced(name: str, limit: float, **options: object) -> object:
        cam = METHODS[name].load()(counted_call(METHODS[name])[0].model, **options)
        cost: Callable[[dict[str, int]], float] = lambda changes: passes_of(name, cam, network, (224, 224), changes)  # noqa: E731
        changes = fewer_samples(name, cam, cost, limit)
        assert changes is None or cost(changes) <= limit
        return changes

    assert reduced("rise", 1001) == {}
    assert reduced("rise", 500) == {"num_samples": 499}
    assert reduced("rise", 99) is None  # a tenth of what was asked for is the least
    assert reduced("rise", 50, num_samples=100) == {"num_samples": 49}
    assert reduced("scorecam", 101) == {"channels": 100}
    assert reduced("scorecam", 20) is None
    assert reduced("sscam", 1001) == {"num_samples": 5, "channels": 200}
    assert reduced("integratedgradients", 62) == {"steps": 20}
    assert reduced("reciprocam", 2) is None  # positions cannot be left out
    assert reduced("sess", 20) == {"num_scales": 4}  # 1 + 1 + 4 + 4 + 4 windows of 1.3 passes


def test_what_cheap_maps_leave_is_for_the_dear() -> None:
    assert even_share([1, 1, 100], 12) == 10
    assert even_share([1, 50, 100], 61) == 30
    assert even_share([1, 2], 3) == float("inf")
    assert even_share([10, 10], 0) == 0


def test_times_in_words() -> None:
    times = (1.234, 59.6, 95, 1500, 9000)
    assert [duration(seconds) for seconds in times] == ["1.2 s", "60 s", "2 min", "25 min", "2.5 h"]


# --- files of other pictures ------------------------------------------------------------------------------------------


def test_a_picture_may_be_the_first_word(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dog.png") == 0
    assert written() == {"gradcam_cam.jpg", "gradcam_gb.jpg", "gradcam_cam_gb.jpg"}
    assert run("dog.png", "cat.png", "--output-dir", "many") == 0
    assert written("many") == {"dog/gradcam_cam.jpg", "cat/gradcam_cam.jpg", "contact_sheet.jpg"}
    assert main(["explain", "dog.png", *NET, "--output-dir", "verb"]) == 0
    assert main(["concepts", "dog.png", "--components", "2", *NET, "--output-dir", "concepts"]) == 0
    assert main(["layers", "dog.png", *NET]) == 0
    capsys.readouterr()
    assert main(["bird.jpg", *NET]) == 1
    assert capsys.readouterr().err == "error: there is no file bird.jpg; check the path\n"


def test_files_of_another_picture_are_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save = ["--save", "overlay", "npy"]
    assert run("dog.png", *save) == 0
    dog = Path("output/gradcam_cam.jpg").read_bytes()
    assert run("dog.png", *save, "--target", "1") == 0  # the same picture: replaced, as ever
    assert written() == {"gradcam_cam.jpg", "gradcam_cam.npy"}
    assert run("dog.png", *save) == 0
    assert "kept:" not in capsys.readouterr().out
    assert run("cat.png", *save) == 0
    kept = f"kept:       gradcam_cam.jpg and 1 more of another picture, now in {Path('output/dog')}\n"
    assert kept in capsys.readouterr().out
    both = {"gradcam_cam.jpg", "gradcam_cam.npy"}
    assert written() == both | {f"dog/{name}" for name in both}
    assert Path("output/dog/gradcam_cam.jpg").read_bytes() == dog
    assert np.load("output/dog/gradcam_cam.npy")[30, 32] > np.load("output/gradcam_cam.npy")[30, 32]
    # Back and forth: each has one folder.
    assert run("dog.png", *save) == 0
    assert run("cat.png", *save) == 0
    assert written() == both | {f"{name}/{file}" for name in ("dog", "cat") for file in both}
    assert run("dog.png", *save, "--overwrite", "--output-dir", "output") == 0
    assert Path("output/gradcam_cam.jpg").read_bytes() == dog


def test_files_whose_picture_is_unknown_are_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("output/earlier").mkdir(parents=True)
    for name in ("output/gradcam_cam.jpg", "output/earlier/gradcam_cam.jpg"):
        Path(name).write_bytes(b"somebody's")
    assert run("dog.png", "--save", "overlay") == 0
    assert Path("output/earlier_2/gradcam_cam.jpg").read_bytes() == b"somebody's"
    assert read_image("output/gradcam_cam.jpg").shape == (60, 90, 3)


def test_a_drawing_does_not_tell_where_its_picture_lies(here: Path) -> None:
    Path("Hans_Meyer_1960").mkdir()
    red_and_blue("Hans_Meyer_1960/secret.png")
    assert run("Hans_Meyer_1960/secret.png", "--save", "overlay", "heatmap", "guided", "boxes") == 0
    for name in written():
        content = Path("output", name).read_bytes()
        assert b"secret" not in content
        assert b"Meyer" not in content
    assert image_comment("output/gradcam_cam.jpg") == comment_for(Path("Hans_Meyer_1960/secret.png").absolute())
    assert image_comment("output/gradcam_heatmap.png") == comment_for("Hans_Meyer_1960/secret.png")
