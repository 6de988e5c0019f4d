"""More mistakes that people make, and what they are told: arguments, names of layers, methods and networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, GradCAM, ScoreCAM
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.engine.layers import layer_at
from pytorch_grad_cam.methods import method_name
from pytorch_grad_cam.models.load import load_model


@pytest.mark.parametrize(
    ("ask", "error", "match"),
    [
        (lambda net: GradCAM(net, 3), TypeError, r"target_layers must be a module, .* not 3; give e.g."),
        (
            lambda net: GradCAM(net, target_layer_s="conv2"),
            TypeError,
            r"'target_layer_s'; did you mean 'target_layers'",
        ),
        (lambda net: ScoreCAM(net, "conv2", batchsize=4), TypeError, r"'batchsize'; did you mean 'batch_size'"),
        (lambda net: ScoreCAM(net, "conv2", batch_size=0), ValueError, "batch_size=0 is no number .* from 1 on"),
        (lambda net: AblationCAM(net, "conv2", batch_size=-3), ValueError, "batch_size=-3 is no number"),
        (lambda net: AblationCAM(net, "conv2", batch_size=2.5), ValueError, "batch_size=2.5 is no number"),
        (lambda net: setattr(ScoreCAM(net, "conv2"), "batch_size", 0), ValueError, "batch_size=0 is no number"),
    ],
)
def test_where_a_method_is_made(ask: Callable[[nn.Module], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ask(build(ConvNet))


@pytest.mark.parametrize(
    ("ask", "error", "match"),
    [
        (lambda cam, x: cam(x, size=5), TypeError, r"size=5 is no sequence; give 2 positive numbers, .* \(11, 14\)"),
        (lambda cam, x: cam(x, relu="no"), TypeError, r"relu='no' is neither True nor False"),
        (lambda cam, x: cam(x, forward_kwargs="foo"), TypeError, r"forward_kwargs must be a mapping .* not 'foo'"),
        (lambda cam, x: cam(x, image=3), ValueError, r"image=3 is none of the inputs: one tensor was given"),
        (lambda cam, x: cam.explain_each(x, 3), TypeError, r"a sequence of targets, not 3; give e.g. \[3\]"),
        (lambda cam, x: cam.explain_each(x, "cat"), TypeError, r"a sequence of targets, not 'cat'"),
        (lambda cam, x: cam.explain_each(x, [1], aug_smooth=True), TypeError, r"explain_each has no aug_smooth; call"),
        (lambda cam, x: cam(x.to(torch.uint8)), TypeError, r"whole numbers \(torch.uint8\), .*float32; .*\) / 255"),
        (lambda cam, x: cam(x[0]), ValueError, r"shape \(2, 11, 14\), .* for a single image x\[None\]"),
    ],
)
def test_where_it_is_asked(ask: Callable[[GradCAM, Tensor], Any], error: type[Exception], match: str) -> None:
    cam = GradCAM(build(ConvNet), "conv2")
    with pytest.raises(error, match=match):
        ask(cam, inputs())
    assert cam(inputs(), relu=True, size=[4, 5], image=0, forward_kwargs={}).shape == (2, 4, 5)
    assert cam.explain_each(inputs(), range(2)).maps.shape == (2, 2, 11, 14)


def test_one_image_for_a_network_that_fails_on_it() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    for layer in ("0", None):
        with pytest.raises(ValueError, match=r"for a single image x\[None\]"):
            GradCAM(net, layer)(inputs()[0])
    with pytest.raises(RuntimeError, match="expected input"):  # another mistake keeps its own message
        GradCAM(net, "0")(torch.zeros(1, 5, 9, 9))


class Signals(nn.Module):
    """Takes signals (B, channels, T) as pictures of one plane."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x[:, None]).relu().mean((2, 3)))


def test_a_batch_of_one_signal_is_no_image_without_a_batch() -> None:
    cam = GradCAM(build(Signals), "conv", lambda output: output.mean(2))
    x = torch.randn(1, 4, 20, generator=torch.Generator().manual_seed(0))
    assert cam(x, 1, relu=False).shape == (1, 20)


class TestNames:
    def test_a_module_with_two_names(self) -> None:
        net = build(ConvNet)
        net.backbone = net.conv2  # a second name
        net.again = nn.Sequential(net.act1, net.conv2, net.act1)
        assert layer_at(net, "backbone") is layer_at(net, "conv2") is layer_at(net, "again.1") is net.conv2
        assert layer_at(net, "again[-1]") is layer_at(net, "again.2") is net.act1
        assert GradCAM(net, "backbone").explain(inputs(), 1).layers == ("conv2",)

    def test_brackets_in_a_name(self) -> None:
        net = nn.Sequential()
        net.add_module("block[0]", nn.Sequential(nn.Conv2d(2, 3, 3)))
        net.add_module("block", nn.Sequential(nn.ReLU(), nn.Tanh()))
        assert layer_at(net, "block[0]") is net[0]
        assert layer_at(net, "block[0].0") is net[0][0]
        assert layer_at(net, "block[1]") is net[1][1]
        assert layer_at(net, "[-1][0]") is net[1][0]
        with pytest.raises(ValueError, match=r"no layer 'block\[7\]'"):
            layer_at(net, "block[7]")

    def test_methods(self) -> None:
        with pytest.raises(ValueError, match=r"^unknown method 'foo'; known: gradcam, "):
            method_name("foo")
        with pytest.raises(ValueError, match=r"'gradcm'; did you mean 'gradcam'\? Known: gradcam, "):
            method_name("gradcm")

    def test_networks(self) -> None:
        with pytest.raises(ValueError, match=r"'resnet5' is unknown; did you mean resnet50 .*\? Known are shapes"):
            load_model("resnet5")

    def test_networks_of_timm(self) -> None:
        pytest.importorskip("timm")
        with pytest.raises(ValueError, match=r"no network 'nosuch'; names look like resnet18 .* timm.list_models\(\)"):
            load_model("timm/nosuch")
        with pytest.raises(ValueError, match=r"no network 'resnet5'; did you mean resnet50 or .*\? timm.list_models"):
            load_model("timm/resnet5")

    def test_networks_of_the_hub(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("transformers")
        hub = pytest.importorskip("huggingface_hub")
        asked = []

        def model_info(self: Any, name: str, timeout: float) -> None:
            asked.append((name, timeout))
            raise ConnectionError("Name or service not known")

        monkeypatch.setattr(hub.HfApi, "model_info", model_info)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(RuntimeError, match=r"'nosuch/at-all' \(it is not on this machine, .* not known\); give a"):
            load_model("hf/nosuch/at-all")
        assert asked == [("nosuch/at-all", 10)]  # once; a download would have been tried six times


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
