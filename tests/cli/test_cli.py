"""The command line, as a newcomer meets it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.colour_net import NET, red_and_blue
from helpers.methods_for_any_network import ANY_NETWORK, few_steps  # noqa: F401 - the fixture
from helpers.paths import ROOT
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.methods import METHODS


def heat_of(overlay: Path, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How warm the heat map is, from an overlay at half weight: red minus blue, (H, W)."""
    heat = 2 * read_image(overlay).astype(np.float32) - picture
    difference: NDArray[np.float32] = heat[:, :, 0] - heat[:, :, 2]
    return difference


# --- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["cam.py"], ["-m", "pytorch_grad_cam"]])
def test_help_names_every_option_and_method(command: list[str]) -> None:
    run = subprocess.run([sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for word in ("--image-path", "--aug_smooth", "--eigen_smooth", "--use-cuda", "--output-dir", *METHODS):
        assert word in run.stdout
    assert run.stdout.startswith(f"usage: {'cam.py' if command == ['cam.py'] else 'python -m pytorch_grad_cam'} ")
    assert not run.stderr


def test_help_answers_at_once() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "cam.py", "--help"], cwd=ROOT, capture_output=True, check=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.5
    code = "import sys; from pytorch_grad_cam.cli.main import main; main(['--help']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)


# --- what it is for -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "said", "columns"),
    [
        ([], "0 red (the top class)", range(22, 42)),
        (["--target", "RED"], "0 red", range(22, 42)),
        (["--target", "Dark_Blue"], "1 dark blue", range(54, 72)),
        (["--target", "1"], "1 dark blue", range(54, 72)),
    ],
)
def test_what_was_asked_for_lights_up(
    target: list[str], said: str, columns: range, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--image-path", "both.png", *NET, *target, "--target-layers", "colours"]) == 0
    captured = capsys.readouterr()
    assert not captured.err
    assert captured.out.splitlines() == [
        "picture:    both.png",
        "model:      two colours; sees its centre at 40 x 40, mean 0 0 0, std 1 1 1",
        "seen:       67 % of the picture, its centre (--squash or --pad shows all of it)",
        "predicted:   99.1 %  0 red",
        "              0.9 %  1 dark blue",
        "              0.0 %  2 nothing",
        "scores:     shares by softmax of the scores: one class is true; --scores says otherwise",
        f"explained:  {said}",
        "layer:      colours",
        f"written:    {Path('output', 'gradcam_cam.jpg')}",
        f"            {Path('output', 'gradcam_gb.jpg')}",
        f"            {Path('output', 'gradcam_cam_gb.jpg')}",
    ]
    picture = red_and_blue()
    overlay = read_image("output/gradcam_cam.jpg")
    assert overlay.shape == picture.shape  # the full resolution
    heat = heat_of(Path("output/gradcam_cam.jpg"), picture)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert row in range(18, 42)
    assert column in columns
    seen = slice(15, 75)  # columns within the centred crop
    assert np.abs(overlay[:, :14].astype(int) - picture[:, :14]).max() < 12
    assert (heat[5:15, seen] < -40).all()  # gray: cold, dark blue


def test_the_layer_is_chosen_and_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--image-path", "both.png", *NET]) == 0
    assert "layer:      colours (chosen automatically)" in capsys.readouterr().out


@pytest.mark.parametrize("method", ANY_NETWORK)
def test_every_method_writes_its_picture(method: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = ["colours", "colours[0]"]
    if method == "refinecam":  # GradCAM++ inside turns around where activations are negative, as before the ReLU
        layers.pop()
    asked = ["--method", method.upper(), "--target-layers", *layers]
    assert main(["--image-path", "both.png", *NET, *asked, "--output-dir", "new/one"]) == 0
    found = {path.name for path in Path("new/one").iterdir()}
    assert found == {f"{method}_cam.jpg", f"{method}_gb.jpg", f"{method}_cam_gb.jpg"}
    captured = capsys.readouterr()
    if method == "fem":  # weighs by mean activations, which are negative before the ReLU
        assert captured.err == "note: all evidence at layer 'colours.0' is negative\n"
    else:
        assert not captured.err
    if METHODS[method].load().uses_layers:
        assert f"layer:      {', '.join(layers).replace('[0]', '.0')}\n" in captured.out


def test_noise_and_samples_reach_the_method(here: Path) -> None:
    maps = []
    for number, options in enumerate((["--noise-level", "0"], ["--num-samples", "2"], ["--num-samples", "2"])):
        seed = ["--seed", str(number % 2), "--output-dir", f"out{number}", "--save", "npy"]
        assert main(["--image-path", "both.png", *NET, "--method", "rise", "smoothgrad", *options, *seed]) == 0
        maps.append([np.load(f"out{number}/{name}_cam.npy") for name in ("rise", "smoothgrad")])
    assert not np.array_equal(maps[0][0], maps[1][0], equal_nan=True)  # masks: 1000 and 2
    assert not np.array_equal(maps[1][0], maps[2][0], equal_nan=True)  # seeds


def test_a_method_without_a_class_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--image-path", "both.png", *NET, "--method", "eigencam", "--target", "red"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "warning: eigencam looks at no class; --target is ignored\n"
    assert f"explained:  no class; {METHODS['eigencam'].summary}" in captured.out


def test_the_options_of_old(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    old = ["--use-cuda", "--aug_smooth", "--eigen_smooth", "--method", "GradCAMPlusPlus", "--output-dir", "out"]
    assert main(["--image-path", "both.png", *NET, *old]) == 0
    assert capsys.readouterr().err == "warning: --use-cuda: there is no usable CUDA device, using the CPU\n"
    assert Path("out/gradcam++_cam.jpg").exists()
    assert main(["--image-path", "both.png", *NET, "--device", "cpu", "--aug-smooth", "--eigen-smooth"]) == 0
    assert Path("output/gradcam_cam.jpg").exists()


@pytest.mark.gpu
def test_on_a_gpu(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for where in (["--use-cuda"], ["--device", "cuda"]):
        assert main(["--image-path", "both.png", *NET, *where]) == 0
        assert not capsys.readouterr().err


def test_the_whole_picture_when_squashed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--image-path", "both.png", *NET, "--squash", "--size", "64", "--mean", "0.1", "0.1", "0.1"]) == 0
    assert "sees the whole picture at 64 x 64, mean 0.1 0.1 0.1, std 1 1 1" in capsys.readouterr().out
    assert (heat_of(Path("output/gradcam_cam.jpg"), red_and_blue())[:, :8] < -40).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16"])
def test_pictures_of_every_kind(mode: str, here: Path) -> None:
    picture = Image.fromarray(red_and_blue())
    odd = (
        picture.convert("L").convert("I").point(lambda v: v * 257).convert(mode)
        if mode == "I;16"
        else picture.convert(mode)
    )
    odd.save("odd.tif")
    # On gray pictures no colour stands out; what both classes see there is the same everywhere.
    code = main(["--image-path", "odd.tif", *NET, "--method", "eigencam", "--target-layers", "colours[0]"])
    assert code == 0
    assert read_image("output/eigencam_cam.jpg").shape == (60, 90, 3)


def test_a_rotated_photo_is_explained_upright(here: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(red_and_blue()).copy()).save("phone.jpg", exif=exif, quality=95)
    assert main(["--image-path", "phone.jpg", *NET]) == 0
    heat = heat_of(Path("output/gradcam_cam.jpg"), red_and_blue())
    assert heat.shape == (60, 90)
    assert heat[25:35, 28:36].mean() > heat[25:35, 58:66].mean() + 100


def test_weights_of_a_torchvision_network(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from torchvision.models import squeezenet1_1

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save({f"module.{k}": v for k, v in squeezenet1_1(num_classes=3).state_dict().items()}, "mine.pth")
    argv = ["--image-path", "both.png", "--model", "squeezenet1_1", "--weights", "mine.pth", "--method", "eigencam"]
    assert main([*argv, "--target-layers", "features.-1", "--size", "96"]) == 0
    out = capsys.readouterr().out
    assert "model:      squeezenet1_1, weights from mine.pth; sees its centre at 96 x 96" in out
    assert "layer:      features.12\n" in out
    assert out.count("%") == 4  # of three classes, and of the picture
    for target, message in (("3", "class 3 does not exist: the model has 3 classes"), ("cat", "has no class names")):
        assert main([*argv, "--method", "gradcam", "--target", target]) == 1
        assert message in capsys.readouterr().err


# --- real networks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["star", "ring"])
def test_the_built_in_network(label: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pytorch_grad_cam.data.scenes import render_scene

    scene = render_scene(5, labels=["star", "ring"], difficulty=0.3)
    Image.fromarray(scene.image).save("scene.png")
    assert main(["--image-path", "scene.png", "--model", "shapes", "--target", label]) == 0
    out = capsys.readouterr().out
    assert "model:      shapes, the built-in network; sees its centre at 128 x 128" in out
    assert out.count(" %  ") == 2  # those present, not the top five
    heat = heat_of(Path("output/gradcam_cam.jpg"), scene.image)
    inside = {item.label: heat[item.mask].mean() for item in scene.objects}
    assert max(inside, key=lambda name: inside[name]) == label


@pytest.mark.parametrize(
    ("file", "target", "label"),
    [
        ("both.png", "bull mastiff", "dog"),
        ("both.png", "tiger cat", "cat"),
        ("elephant_zebra.png", "African elephant", "elephant"),
        ("elephant_zebra.png", "zebra", "zebra"),
    ],
)
def test_real_animals_light_up(
    file: str, target: str, label: str, shared: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shared / "data"
    path = data / "images" / file
    net = ["--model", "squeezenet1_0", "--weights", str(data / "models" / "squeezenet1_0_imagenet.pth")]
    assert main(["--image-path", str(path), *net, "--target", target]) == 0
    golden = json.loads((data / "expected_predictions.json").read_text())[f"images/{file}"]["squeezenet1_0"]
    index, share = golden[0]
    assert f"predicted:  {100 * share:5.1f} %  {index} " in capsys.readouterr().out
    objects = next(
        each["objects"] for each in json.loads((path.parent / "annotations.json").read_text()) if each["file"] == file
    )
    left, top, right, bottom = next(each["box"] for each in objects if each["label"] == label)
    heat = heat_of(Path("output/gradcam_cam.jpg"), read_image(path))
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert top <= row <= bottom
    assert left <= column <= right
