"""The commands of ``nnc`` beside the plug-ins of Neural Network Console: their own networks, pictures and CSV files."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import missing
from PIL import Image

from pytorch_grad_cam.cli.main import main

MODELS = {"gray": "results.nnp", "rgb": "model.nnp", "bin": "model.nnp"}
IMAGES = {"gray": 8, "rgb": 6, "bin": 4}
DATASETS = [(name, "dataset.csv") for name in MODELS] + [(name, "dataset_vector_label.csv") for name in ("gray", "rgb")]
EXACT, CLOSE = 0, 2  # gray levels


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def console(shared: Path) -> Path:
    """The folder with networks, datasets and pictures that came out of the Console's own tools."""
    missing.package("h5py")
    return shared / "nnp"


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode in ("RGB", "L")
        return np.array(image).astype(int)


def difference(got: Path | str, want: Path | str) -> int:
    first, second = pixels(got), pixels(want)
    assert first.shape == second.shape
    return int(np.abs(first - second).max())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("command", ["gradcam", "smoothgrad"])
def test_one_picture_as_the_plug_in_draws_it(command: str, name: str, console: Path) -> None:
    folder = console / name
    index = "0" if name == "bin" else "1"
    given = ["-m", str(folder / MODELS[name]), "-i", str(folder / "images/1.png"), "-c", index, "-o", "o.png"]
    assert main(["nnc", command, *given, "--style", "nnc"]) == 0
    limit = EXACT if command == "smoothgrad" else CLOSE
    assert difference("o.png", folder / f"plugin/{command}_single.png") <= limit
    assert main(["nnc", command, *given]) == 0
    assert difference("o.png", folder / f"plugin/{command}_single.png") > CLOSE  # the published method is another one


@pytest.mark.parametrize(("name", "labels"), DATASETS)
@pytest.mark.parametrize("command", ["gradcam", "smoothgrad"])
def test_a_dataset_as_the_plug_in_draws_it(command: str, name: str, labels: str, console: Path) -> None:
    """Integer labels explain the labelled class too; the plug-in needs vectors for that."""
    folder, stem = console / name, command if name == "bin" else f"{command}_label"
    given = ["-m", str(folder / MODELS[name]), "-i", str(folder / labels), "-o", f"{stem}.csv"]
    assert main(["nnc", f"{command}-batch", *given, "--style", "nnc"]) == 0
    wanted = sorted((folder / "plugin" / stem / "0000").iterdir())
    assert len(wanted) == IMAGES[name]
    assert [path.name for path in wanted] == sorted(path.name for path in Path(stem, "0000").iterdir())
    for path in wanted:
        assert difference(Path(stem, "0000", path.name), path) <= (EXACT if command == "smoothgrad" else CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_in_the_folder_of_a_training_no_option_is_needed(
    name: str, console: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CSV is the plug-in's, byte for byte, and its cells resolve where it lies."""
    shutil.copytree(console / name, "training")
    monkeypatch.chdir("training")
    if name != "gray":
        shutil.copy("model.nnp", "results.nnp")
    assert main(["nnc", "gradcam-batch"]) == 0
    assert main(["nnc", "smoothgrad-batch", "--num_samples", "2"]) == 0
    source = Path("output_result.csv").read_text().splitlines()
    for column, file in (("gradcam", "gradcam.csv"), ("SmoothGrad", "smoothgrad.csv")):
        lines = Path(file).read_text().splitlines()
        stem = Path(file).stem
        assert lines == [f"{column},{source[0]}"] + [
            f"{stem}/0000/{index}.png,{line}" for index, line in enumerate(source[1:])
        ]
        assert len(lines) == 1 + IMAGES[name]
        assert all(Path(line.partition(",")[0]).is_file() for line in lines[1:])
    if name == "bin":  # of the others the plug-in's CSV has the labels' maps
        assert Path("gradcam.csv").read_bytes() == Path("plugin/gradcam.csv").read_bytes()


def test_a_probability_of_one_is_warned_of_and_its_logit_is_not(
    console: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = console / "rgb"
    given = ["-m", str(folder / "model.nnp"), "-i", str(folder / "images/3.png"), "-o", "o.png"]
    assert main(["nnc", "gradcam", *given]) == 0
    assert "warning: the probability is 1: " in (said := capsys.readouterr().err)
    assert "--score logit" in said
    assert main(["nnc", "gradcam", *given, "--score", "logit"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    logit = np.load(folder / "reference.npz")["logits"][3, 0]
    (said,) = re.findall(r"explained:  0, logit (\S+)", captured.out)
    assert float(said) == pytest.approx(float(logit), rel=1e-3)
    batch = ["-m", str(folder / "model.nnp"), "-i", str(folder / "dataset.csv"), "-o", "o.csv"]
    assert main(["nnc", "gradcam-batch", *batch]) == 0
    assert "in 2 rows (1, 4) of 6: its gradient vanishes there" in capsys.readouterr().err
    assert main(["nnc", "gradcam-batch", *batch, "--score", "logit"]) == 0
    assert capsys.readouterr().err == ""


def test_names_and_numbers_of_the_console(console: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = console / "gray"
    given = ["-m", str(folder / "results.nnp"), "-i", str(folder / "images/1.png"), "-c", "1", "--style", "nnc"]
    for more in (["-ov", "y'"], ["-ov", "y'__3"], ["--target-layers", "Convolution_2"]):
        assert main(["nnc", "gradcam", *given, *more, "-o", "o.png"]) == 0
        assert difference("o.png", folder / "plugin/gradcam_single.png") <= CLOSE
    assert main(["nnc", "smoothgrad", *given, "-li", "1", "-n", "3", "-o", "layer.png"]) == 0
    assert pixels("layer.png").shape == (28, 28)
    capsys.readouterr()
    for command, more, message in (
        ("gradcam", ["-ov", "z"], "the network has no output 'z'; it has \"y'\""),
        ("gradcam", ["--target-layers", "Convolution_9"], "no layer 'Convolution_9'"),
        ("smoothgrad", ["-li", "99"], "the network has no variable 99; they are numbered 0 to 10, 0 is the input"),
        ("smoothgrad", ["-li", "10", "-n", "1"], "layer 'Softmax' gives (1, 4)"),
    ):
        assert main(["nnc", command, *given, *more, "-o", "o.png"]) == 1
        assert message in capsys.readouterr().err
