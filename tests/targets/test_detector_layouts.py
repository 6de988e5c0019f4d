"""Detectors without a recipe: what YOLO networks and DETR return is read, and what only manages a network is opened."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.colour_net import red_and_blue
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.targets.detection import detected_objects
from pytorch_grad_cam.targets.detector_layouts import LayoutReader, reader_for


class Head(nn.Module):
    """A detector of two boxes, red on the left and blue on the right: how sure it is is the mean of a colour there."""

    def __init__(self, form: str = "yolov8") -> None:
        super().__init__()
        self.colours, self.form = nn.Conv2d(3, 2, 1, bias=False), form
        with torch.no_grad():
            self.colours.weight.copy_(torch.tensor([[1.0, -1, -1], [-1, -1, 1]])[:, :, None, None])
        self.act = nn.ReLU()

    def forward(self, x: Tensor, twice: bool = False) -> Any:
        seen = self.act(self.colours(x))
        half = seen.shape[3] // 2
        sure = torch.stack([seen[:, 0, :, :half].mean((1, 2)), seen[:, 1, :, half:].mean((1, 2))], 1)  # (B, 2)
        sure = sure.clamp_max(1) * (2 if twice else 1)
        height, width = x.shape[2:]
        boxes = x.new_tensor(
            [[width / 4, height / 2, width / 2, height], [3 * width / 4, height / 2, width / 2, height]]
        )
        boxes = boxes.expand(len(x), -1, -1)  # (B, 2, 4): centre, size
        classes = torch.diag_embed(sure)  # (B, 2, 2)
        if self.form == "yolov8":
            # Numbers of a mask behind the classes, as segmenting networks of ultralytics have.
            table = torch.cat([boxes, classes, torch.full_like(classes, 9.0)], 2).transpose(1, 2)
            return table, {"boxes": boxes, "scores": classes.transpose(1, 2), "feats": [seen]}
        if self.form == "yolov5":
            return torch.cat([boxes, torch.full_like(sure, 0.5)[:, :, None], classes], 2)
        if self.form == "yolo26":
            corners = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], 2)
            return torch.cat([corners, sure[:, :, None], sure.new_tensor([[0.0], [1.0]]).expand(len(x), 2, 1)], 2)
        none = torch.zeros_like(sure)[:, :, None]
        logits = torch.cat([classes * 20, none], 2)
        return SimpleNamespace(pred_boxes=boxes / x.new_tensor([width, height, width, height]), logits=logits)


class Manager(nn.Module):
    """Manages a network, as ``YOLO(...)`` of ultralytics does: it has no forward, and called does something else."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def __call__(self, *_: object) -> None:
        raise KeyError("Conv2d")


def half_red() -> Tensor:
    x = torch.zeros(1, 3, 8, 16)
    x[:, 0, 2:6, 2:6] = 1
    x[:, 2, 2:6, 10:12] = 1
    return x


def described(form: str) -> LoadedModel:
    seen = Preprocessing((40, 60), None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return LoadedModel(Head(form), seen, ("red", "blue"), ("act",), source="two boxes")


def yolov5() -> LoadedModel:
    return described("yolov5")


def yolov8() -> LoadedModel:
    return described("yolov8")


def yolo26() -> LoadedModel:
    return described("yolo26")


@pytest.mark.parametrize(
    ("form", "sure"), [("yolov8", (0.25, 0.125)), ("yolov5", (0.125, 0.0625)), ("yolo26", (0.25, 0.125))]
)
def test_objects_by_hand(form: str, sure: tuple[float, float]) -> None:
    outputs = Head(form)(half_red())
    read = reader_for(outputs, form)
    assert read is not None
    one = outputs[0][0] if form == "yolov8" else outputs[0]
    red, blue = detected_objects(one, 0.0, read=read)
    assert (red.box, red.category, red.score) == ((0, 0, 8, 8), 0, sure[0])
    assert (blue.box, blue.category, blue.score) == ((8, 0, 16, 8), 1, sure[1])


def test_detr_by_hand() -> None:
    outputs = Head("detr")(half_red())
    one = {"pred_boxes": outputs.pred_boxes[0], "pred_logits": outputs.logits[0]}
    for size, side in (((8, 16), (8.0, 8.0)), (None, (0.5, 1.0))):
        red, _ = detected_objects(one, 0.0, read=LayoutReader("detr", size=size))
        assert red.box == (0, 0, *side)
        assert red.score == pytest.approx(np.exp(5) / (np.exp(5) + 2))  # 0.25 * 20, without the class "no object"


def test_boxes_of_rt_detr_are_shares_with_centre_and_size() -> None:
    table = torch.tensor([[0.25, 0.5, 0.1, 0.2, 0.9, 3.0], [0.75, 0.5, 0.1, 0.2, 0.8, 2.0]])
    first, second = detected_objects(table, 0.0, read=LayoutReader("yolo26", size=(100, 200)))
    assert first.box == pytest.approx((40, 40, 60, 60))
    assert (second.category, second.score) == (2, pytest.approx(0.8))


def test_which_forms_say_what_they_are() -> None:
    x = half_red()
    table, parts = Head("yolov8")(x)
    read = reader_for((table, parts))
    assert read == LayoutReader("yolov8", 2)  # not the four columns of a mask
    maps = [torch.zeros(1, 9, 1, 2)]  # before version 8.4: what the boxes were made of, as many as there are boxes
    assert reader_for((table, maps)) == LayoutReader("yolov8")
    assert reader_for((table, [torch.zeros(1, 9, 2, 2)])) is None
    assert reader_for(table) is None  # as well a segmentation of a signal
    assert reader_for((torch.zeros(1, 4), parts)) is None
    with pytest.raises(ValueError, match=r"the layout 'yolo' is unknown; known are yolov5, yolov8, yolo26, detr"):
        LayoutReader("yolo")
    with pytest.raises(ValueError, match=r"returns a tensor \(8, 2\) for an image, not the \(N, 6\) of yolo26"):
        LayoutReader("yolo26")(table[0])


@pytest.mark.filterwarnings("ignore:.*the target is read off layer")  # the network is that small
def test_what_manages_a_network_is_opened() -> None:
    """`GradCAM(YOLO(...))` gave ``KeyError: Conv2d``: called, such an object predicts, and its layers lie deeper."""
    network = Head()
    x = half_red()
    cam = GradCAM(Manager(network), "colours")
    assert cam.model is network
    found = cam.explain(x)
    assert found.classes == (0,)
    assert found.scores is not None
    assert found.scores.tolist() == [0.25]
    assert np.unravel_index(int(found.maps[0].argmax()), (8, 16))[1] < 8
    found = cam.explain(x, 1)
    assert found.scores is not None
    assert found.scores.tolist() == [0.125]
    assert np.unravel_index(int(found.maps[0].argmax()), (8, 16))[1] >= 8
    batch = GradCAM(network, "colours").explain(torch.cat([x, x.flip(3)]), [0, None])
    assert batch.maps.shape == (2, 8, 16)


def test_a_network_with_a_network_inside_is_left_alone() -> None:
    class Wrapped(Manager):
        __call__ = nn.Module.__call__  # type: ignore[assignment]

        def forward(self, x: Tensor) -> Tensor:
            return self.model(x)[0].mean(2)

    wrapped = Wrapped(Head())
    assert GradCAM(wrapped, "model.act").model is wrapped


# --- on the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the working folder is added to it
    red_and_blue("both.png")
    return tmp_path


@pytest.mark.parametrize("form", ["yolov5", "yolov8", "yolo26"])
def test_read_on_the_command_line(form: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["both.png", "--model", f"{__name__}:{form}", "--target", "blue", "--save", "overlay", "npy"]
    assert main([*given, "--read", form]) == 0
    assert "explained:  1 blue\n" in capsys.readouterr().out
    heat = np.load("output/gradcam_1_blue_cam.npy")
    assert np.unravel_index(np.nanargmax(heat), heat.shape)[1] > 45
    if form == "yolov8":  # which says it
        assert main([*given, "--task", "detection"]) == 0
    else:
        assert main([*given, "--task", "detection", "--output-dir", "none"]) == 1
        assert "say how its output is laid out: --read yolov5|yolov8|yolo26|detr" in capsys.readouterr().err


def test_a_part_of_the_output_and_further_arguments(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["both.png", "--model", f"{__name__}:yolov8", "--save", "json", "--method", "gradcam", "rise"]
    assert main([*given, "--output", "5", "--num-samples", "5"]) == 1
    assert "output=5 is no part of what the model returns: it has the indices 0 to 1" in capsys.readouterr().err
    scores = []
    for more in ([], ["--forward-kwargs", "twice=true"]):
        assert main([*given, "--read", "yolov8", "--num-samples", "5", "--target", "red", *more]) == 0
        records = [json.loads(Path(f"output/{name}_1_red.json").read_text()) for name in ("gradcam", "rise")]
        scores.append([record["score"] for record in records])
    assert scores[1] == pytest.approx([2 * score for score in scores[0]])
    capsys.readouterr()
    assert main([*given, "--forward-kwargs", "twice"]) == 2
    assert "'twice' is no argument; write NAME=VALUE" in capsys.readouterr().err


def test_a_network_that_was_pickled_as_a_whole(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"epoch": 1, "ema": None, "model": Head().half()}, "best.pt")
    torch.save(Head().state_dict(), "weights.pt")
    given = ["both.png", "--size", "40", "--squash", "--target-layers", "act", "--task", "detection"]
    assert main([*given, "--model", "best.pt"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: best.pt is a network pickled as a whole (it holds ")
    assert "and reading that can run any code in the file; if you trust its author, allow it with --trust-" in said
    assert main([*given, "--model", "best.pt", "--trust-pickle", "--mean", "0", "--std", "1"]) == 0
    assert "model:      best.pt; sees the whole picture at 40 x 40" in capsys.readouterr().out
    assert main([*given, "--model", "weights.pt"]) == 1
    said = capsys.readouterr().err
    assert "weights.pt is a file; name the network with --model and give the file with --weights" in said
    Path("cut.pt").write_bytes(b"PK\x03\x04nothing")
    assert main([*given, "--model", "cut.pt"]) == 1
    assert "cut.pt holds no network that can be read here" in capsys.readouterr().err
