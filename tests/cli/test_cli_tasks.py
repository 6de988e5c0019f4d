"""The command line on segmentation networks and detectors of torchvision, with random weights from a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import read_image, write_image
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.from_torchvision import task_by_name
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.runs.picture_targets import DetectedObjectTarget
from pytorch_grad_cam.targets.detection import DetectedObject

pytestmark = [pytest.mark.again, pytest.mark.filterwarnings("ignore:.*not every map means something")]
DENSE, BOXES = "lraspp_mobilenet_v3_large", "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 120 x 90 pixels, and weights of both networks with 5 classes."""
    from torchvision.models import get_model

    where = tmp_path_factory.mktemp("tasks")
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    write_image(where / "picture.png", noise)
    with torch.random.fork_rng(devices=[]):
        for name in (DENSE, BOXES):
            torch.manual_seed(1)
            model = get_model(name, weights=None, weights_backbone=None, num_classes=5)
            torch.save(model.state_dict(), where / f"{name}.pth")
    return where


def run(folder: Path, name: str, *more: str, out: Path) -> int:
    picture, weights = folder / "picture.png", folder / f"{name}.pth"
    given = ["--image-path", picture, "--model", name, "--weights", weights, "--output-dir", out, *more]
    return main([str(each) for each in given])


def test_segmentation(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 4 of the needs of users, from the command line."""
    more = ["--size", "64", "--method", "hirescam", "eigencam", "--target", "top-1", "--save", "overlay", "json", "npy"]
    assert run(folder, DENSE, *more, out=tmp_path) == 0
    said = capsys.readouterr().out
    assert "sees the whole picture at 85 x 64" in said
    assert "layer:      backbone.16" in said
    record = json.loads((tmp_path / "hirescam.json").read_text())
    assert record["class"]["index"] == record["predicted"][0]["index"]
    assert sum(each["share"] for each in record["predicted"]) == pytest.approx(1, abs=1e-4)
    assert np.load(tmp_path / "hirescam_cam.npy").shape == (90, 120)
    assert read_image(tmp_path / "hirescam_cam.jpg").shape == (90, 120, 3)


def test_each_method_says_where_it_looked_and_each_region_why(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, DENSE, "--size", "64", "--method", "hirescam", "fullgrad", "smoothgrad", out=tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("layer:"))
    assert lines[at] == "layer:      backbone.16: hirescam"
    assert lines[at + 1].endswith(" in all): fullgrad")
    assert lines[at + 2] == "            none, the picture itself: smoothgrad"
    (why,) = (line for line in lines if line.startswith("explained:"))
    largest = next(line for line in lines if line.startswith("predicted:")).split()[-1]
    explained = why.split()[1]
    because = "(the largest region)" if explained == largest else "(the largest region but 0, which mostly is"
    assert because in why


def test_a_class_without_a_region(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, DENSE, "--size", "64", "--target", "7", out=tmp_path) == 1
    assert "class 7 does not exist: the model has 5 classes, 0 to 4" in capsys.readouterr().err
    assert run(folder, DENSE, "--size", "64", "--target", "top-5", "--save", "json", out=tmp_path / "all") == 0
    seen = {json.loads(path.read_text())["class"]["index"] for path in (tmp_path / "all").glob("*.json")}
    absent = min(set(range(5)) - seen)  # an untrained network does not predict every class
    capsys.readouterr()
    assert run(folder, DENSE, "--size", "64", "--target", str(absent), out=tmp_path) == 1
    assert f"the network finds no class {absent} in the picture; it finds class" in capsys.readouterr().err


def test_detection(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 3 of the needs of users, from the command line: a map and a box for each object."""
    more = ["--method", "hirescam", "--target", "top-2", "--save", "overlay", "json"]
    assert run(folder, BOXES, *more, out=tmp_path) == 0
    assert "layer:      backbone.features.0" in capsys.readouterr().out
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("hirescam_[12]_class_*.json"))]
    assert len(records) == 2
    assert records[0]["object"] != records[1]["object"]
    for record in records:
        box = record["object"]
        assert 0 <= box["left"] < box["right"] <= 120
        assert 0 <= box["top"] < box["bottom"] <= 90
        assert record["score"] == pytest.approx(0.2, abs=0.05)  # five classes, untrained
    assert (tmp_path / "grid.jpg").exists()


def test_refused_in_words(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, BOXES, "--size", "64", out=tmp_path) == 1
    assert "this detector sees 320 x 320 pixels whatever the picture; leave out --size" in capsys.readouterr().err
    assert run(folder, BOXES, "--target", "9", out=tmp_path) == 1
    assert "the detector finds no class 9 in the picture; it finds class" in capsys.readouterr().err
    assert run(folder, BOXES, "--aug-smooth", out=tmp_path) == 1
    assert "--aug-smooth turns the picture and not the boxes in it" in capsys.readouterr().err
    picture = str(folder / "picture.png")
    assert (
        main(["--image-path", picture, "--model", "shapes", "--task", "detection", "--output-dir", str(tmp_path)]) == 1
    )
    assert "the model returns a tensor (10,) for an image, not boxes" in capsys.readouterr().err
    assert main(["--image-path", picture, "--model", "shapes", "--task", "segmentation", "--output-dir", str(tmp_path)])
    assert "this network does no segmentation: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_boxes_go_where_the_network_saw_them() -> None:
    """100 x 200 pixels are resized to 50 x 100 and cropped to the middle 50 x 50: column 0 there is column 50 here."""
    preprocessing = Preprocessing(resize=50, crop=50)
    box = DetectedObjectTarget(1, DetectedObject((10.0, 5, 30, 20), 1, 0.9)).box_on_image(
        preprocessing, (50, 50), (100, 200)
    )
    assert box is not None
    assert (box.left, box.top, box.right, box.bottom) == (70, 10, 110, 40)
    assert (
        DetectedObjectTarget(1, DetectedObject((60.0, 5, 70, 20), 1, 0.9)).box_on_image(
            preprocessing, (50, 50), (100, 200)
        )
        is None
    )


def test_every_network_of_torchvision_for_these_tasks_is_known() -> None:
    assert {"fcn_resnet50", "deeplabv3_resnet101", DENSE} <= {
        name for name, task in task_by_name().items() if task[0] == "s"
    }
    assert {"fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn", "fcos_resnet50_fpn",
            "ssd300_vgg16", BOXES} <= {name for name, task in task_by_name().items() if task[0] == "d"}  # fmt: skip


def test_the_side_of_a_detector(tmp_path: Path) -> None:
    from torchvision.models import get_model

    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    with torch.device("meta"):  # its shapes are enough
        net = get_model(name, weights=None, weights_backbone=None)
    zeros = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in net.state_dict().items()}
    torch.save(zeros, tmp_path / "net.pth")
    loaded = load_model(name, str(tmp_path / "net.pth"), size=96)
    assert loaded.model.transform.min_size == (96,)
    assert loaded.task == "detection"
    assert loaded.target_layers == ("backbone.body.16",)
    assert loaded.categories is not None
    assert loaded.categories[1] == "person"
