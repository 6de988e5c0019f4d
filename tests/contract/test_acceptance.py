"""What this project was started for, in nine rows. Whoever wants to know what it does may read this file alone.

1. ``cam.py --image-path ... --method ... --use-cuda``, for ten methods.
2. The library inside somebody's training code.
3. to 6. Four commands on what Neural Network Console leaves: Grad-CAM and SmoothGrad, of one picture and of a dataset.
7. Plain Grad-CAM with one-hot labels.
8. Guided and deconvolution Grad-CAM with one-hot labels.
9. Factorization: what a layer tells apart, with the labels that each part speaks for.
"""

from __future__ import annotations

import csv
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from helpers.tiny_nets import CLASSES, ConvNet, build, inputs
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam.data.scenes import Scene, render_scene
from pytorch_grad_cam.models import shapes

TEN_METHODS = [
    "gradcam",
    "hirescam",
    "gradcam++",
    "scorecam",
    "ablationcam",
    "xgradcam",
    "layercam",
    "eigencam",
    "eigengradcam",
    "fullgrad",
]
CLASSLESS = ("eigencam",)  # shows the strongest pattern of a layer, whatever was asked


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A drawn picture with a star and a ring, where it is known which pixels are which."""
    return render_scene(5, ["star", "ring"], difficulty=0.2)


@pytest.fixture
def picture(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(scene.image).save("picture.png")
    return "picture.png"


def run(script: str, *arguments: str) -> None:
    """Run a script of this repository as ``python SCRIPT ARGUMENTS`` does, and expect that it succeeds."""
    before = sys.argv
    sys.argv = [script, *arguments]
    try:
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / script), run_name="__main__")
    finally:
        sys.argv = before
    assert not end.value.code


def share_inside(heatmap: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    return float(heatmap[mask].sum() / heatmap.sum())


# --- 1. the command line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", TEN_METHODS)
def test_1_cam_py_explains_a_picture(
    method: str, picture: str, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """The map lies on the object that was asked for, and not on its neighbour."""
    given = ["--image-path", picture, "--method", method, "--use-cuda", "--model", "shapes"]
    for item, other in (scene.objects, scene.objects[::-1]):
        run("cam.py", *given, "--target", item.label, "--save", "overlay", "npy")
        with Image.open(f"output/{method}_cam.jpg") as drawn:
            assert drawn.size == (128, 128)
        heatmap = np.load(f"output/{method}_cam.npy")
        assert heatmap.min() >= 0
        assert heatmap.max() <= 1
        if method not in CLASSLESS:
            assert share_inside(heatmap, item.mask) > 1.5 * share_inside(heatmap, other.mask)
    said = capsys.readouterr().err
    assert torch.cuda.is_available() or "there is no usable CUDA device, using the CPU" in said


@pytest.mark.slow  # the README's first command does the same
def test_1_in_a_process_of_its_own(picture: str) -> None:
    """As it is typed, with nothing but the picture's path, the method and the bundled network."""
    command = [sys.executable, str(ROOT / "cam.py"), "--image-path", picture, "--method", "gradcam"]
    done = subprocess.run([*command, "--model", "shapes"], capture_output=True, text=True, check=True)
    assert "explained:" in done.stdout
    assert sorted(path.name for path in Path("output").iterdir()) == [
        "gradcam_cam.jpg",
        "gradcam_cam_gb.jpg",
        "gradcam_gb.jpg",
    ]


# --- 2. the library ---------------------------------------------------------------------------------------------------


def test_2_a_training_loop_draws_maps_and_trains_as_without_them() -> None:
    from pytorch_grad_cam import GradCAM

    def train(draw: bool) -> tuple[list[float], list[NDArray[np.float32]]]:
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, CLASSES),
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x, labels = inputs(batch=4), torch.tensor([0, 1, 2, 0])
        cam = GradCAM(model, target_layers=[model[2]])
        losses, heatmaps = [], []
        for _ in range(4):
            loss = F.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            if draw:  # between backward and step, the worst moment there is
                heatmaps.append(cam(x, targets=labels))
                assert all(module.training for module in model.modules())
            optimizer.step()
            losses.append(loss.item())
        return losses, heatmaps

    with torch.random.fork_rng(devices=[]):
        (plain, _), (drawn, heatmaps) = train(draw=False), train(draw=True)
    assert drawn == plain  # to the last bit
    assert [heatmap.shape for heatmap in heatmaps] == [(4, *inputs().shape[2:])] * 4


# --- 3. to 6. Neural Network Console ----------------------------------------------------------------------------------


@pytest.fixture
def console(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Networks, datasets and pictures that the Console's own tools wrote."""
    monkeypatch.chdir(tmp_path)
    return shared / "nnp" / "gray"


def gray_levels_apart(one: Path | str, other: Path | str) -> int:
    with Image.open(one) as first, Image.open(other) as second:
        return int(np.abs(np.asarray(first, int) - np.asarray(second, int)).max())


@pytest.mark.parametrize(("row", "command", "limit"), [(3, "gradcam", 2), (5, "smoothgrad", 0)])
def test_3_and_5_one_picture_as_the_plug_in_draws_it(row: int, command: str, limit: int, console: Path) -> None:
    given = ["--model", str(console / "results.nnp"), "--image", str(console / "images/1.png"), "--class_index", "1"]
    run("cam.py", "nnc", command, *given, "--output", "map.png", "--style", "nnc")
    assert gray_levels_apart("map.png", console / f"plugin/{command}_single.png") <= limit
    run("cam.py", "nnc", command, *given, "--output", "published.png")  # the method as it was published
    with Image.open("published.png") as drawn, Image.open(console / "images/1.png") as original:
        assert drawn.size == original.size


@pytest.mark.parametrize(
    ("row", "command", "column", "limit"), [(4, "gradcam", "gradcam", 2), (6, "smoothgrad", "SmoothGrad", 0)]
)
def test_4_and_6_a_dataset_as_the_plug_in_draws_it(
    row: int, command: str, column: str, limit: int, console: Path
) -> None:
    dataset, stem = console / "dataset.csv", f"{command}_label"
    given = ["--input", str(dataset), "--model", str(console / "results.nnp"), "--output", f"{stem}.csv"]
    run("cam.py", "nnc", f"{command}-batch", *given, "--input_variable", "x", "--label_variable", "y", "--style", "nnc")
    with open(f"{stem}.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert list(rows[0]) == [column, "x:image", "y:shape"]
    for written in rows:
        assert gray_levels_apart(written[column], console / "plugin" / written[column]) <= limit


# --- 7. and 8. one-hot labels -----------------------------------------------------------------------------------------


def by_hand(model: ConvNet, x: Tensor, classes: list[int], rule: str = "plain") -> tuple[Tensor, Tensor]:
    """Return Grad-CAM's weights (B, C) and the activations (B, C, h, w) of ``conv2``, the way back written out."""

    def through_relu(gradient: Tensor, at: Tensor) -> Tensor:
        gradient = gradient if rule == "plain" else gradient.clamp_min(0)
        return gradient if rule == "deconv" else gradient * (at > 0)

    with torch.no_grad():
        activations = model.conv2(model.conv1(x).clamp_min(0))
        last = model.conv3(activations.clamp_min(0))
        gradient = model.head.weight[classes][:, :, None, None].expand_as(last) / last[0, 0].numel()
        gradient = F.conv_transpose2d(through_relu(gradient, last), model.conv3.weight, padding=1)
        return through_relu(gradient, activations).mean((2, 3)), activations


@pytest.mark.parametrize("labels_of", [torch.tensor, np.array], ids=["tensor", "array"])
def test_7_plain_grad_cam_with_one_hot_labels(labels_of: type) -> None:
    """``L = relu(sum_k mean(dy/dA_k) A_k)`` of each image's own label."""
    from pytorch_grad_cam import GradCAM

    model, x = build(ConvNet), inputs(batch=3)
    labels = labels_of([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = GradCAM(model, "conv2").explain(x, labels)
    weights, activations = by_hand(model, x, [2, 0, 1])
    torch.testing.assert_close(found.weights[0], weights)
    torch.testing.assert_close(found.raw[0], (weights[:, :, None, None] * activations).sum(1))
    np.testing.assert_array_equal(GradCAM(model, "conv2")(x, labels), GradCAM(model, "conv2")(x, [2, 0, 1]))


@pytest.mark.parametrize("rule", ["guided", "deconv"])
def test_8_guided_and_deconvolution_grad_cam_with_one_hot_labels(rule: str) -> None:
    """The gradient that passes a ReLU backwards is cut at 0: for guided Grad-CAM where the ReLU's input is positive."""
    from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel

    model, x = build(ConvNet), inputs(batch=3)
    labels = torch.eye(3)[[2, 0, 1]]
    found = GradCAM(model, "conv2", relu_rule=rule).explain(x, labels)
    weights, activations = by_hand(model, x, [2, 0, 1], rule)
    torch.testing.assert_close(found.weights[0], weights)
    torch.testing.assert_close(found.raw[0], (weights[:, :, None, None] * activations).sum(1))
    plain = GradCAM(model, "conv2").explain(x, labels)
    assert not torch.allclose(plain.weights[0], found.weights[0])
    pixels = GuidedBackpropReLUModel(model, rule=rule)(x, labels)  # the same rule down to the picture
    assert pixels.shape == (3, *x.shape[2:], x.shape[1])
    np.testing.assert_array_equal(pixels, GuidedBackpropReLUModel(model, rule=rule)(x, [2, 0, 1]))


# --- 9. factorization -------------------------------------------------------------------------------------------------


def test_9_factorization_names_what_each_concept_speaks_for(scene: Scene) -> None:
    from pytorch_grad_cam import DeepFeatureFactorization, run_dff_on_image

    loaded = shapes.load_built_in("shapes", None, False)
    x = loaded.preprocessing(scene.image)[None]
    factorization = DeepFeatureFactorization(loaded.model, "stage4")
    concepts = factorization.concepts(x, 3)
    assert concepts.maps.shape[:2] == (1, 3)
    scores = factorization.outputs(x, concepts.vectors)  # (3, classes)
    named = {loaded.categories[index] for index in scores.argmax(1)}
    assert {item.label for item in scene.objects} <= named
    sheet = run_dff_on_image(loaded.model, "stage4", None, scene.image, x[0], n_components=3, labels=loaded.categories)
    assert sheet.shape[0] == 128  # the picture, the picture with its concepts, and the legend with the labels
    assert sheet.shape[1] > 2 * 128
    without = run_dff_on_image(loaded.model, "stage4", None, scene.image, x[0], n_components=3)
    assert not np.array_equal(sheet, without)


def test_9_on_the_command_line(picture: str, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    run("cam.py", "concepts", "--model", "shapes", "--image-path", picture, "--components", "3")
    said = capsys.readouterr().out
    assert all(item.label in said for item in scene.objects)
    assert list(Path("output").iterdir())
