"""Networks from every source: built in, by name, and from somebody's own function."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.torchvision_nets import agree, forbid_downloads

from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models import shapes
from pytorch_grad_cam.models.from_torchvision import classifier_names
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forbid_downloads(monkeypatch, tmp_path / "cache")


def test_every_torchvision_classifier_has_weights_and_preprocessing() -> None:
    from torchvision.models import get_model_weights

    assert {"resnet50", "vgg16", "vit_b_16"} <= set(classifier_names())
    for name in classifier_names():
        for preset in get_model_weights(name):
            crop = Preprocessing.from_torchvision(preset.transforms()).crop
            assert isinstance(crop, int), name


def test_a_download_that_fails_names_the_ways_out() -> None:
    message = (
        r"the weights of mobilenet_v2 could not be fetched from https://.*mobilenet_v2-b0353104.pth "
        r"\(no network in tests.*\); give a file of them with --weights FILE, "
        r"or try the built-in network, which needs none: --model shapes"
    )
    with pytest.raises(RuntimeError, match=message):
        load_model("mobilenet_v2")
    with pytest.raises(RuntimeError, match=r"mobilenet_v2-7ebf99e0.pth"):
        load_model("MobileNet_V2", "imagenet1k_v2")
    with pytest.raises(RuntimeError, match=r"mobilenet_v2-7ebf99e0.pth"):
        load_model("mobilenet_v2", "DEFAULT")


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="the model 'resnet51' is unknown; did you mean resnet50 or"):
        load_model("resnet51")
    with pytest.raises(ValueError, match="the model 'shape' is unknown; did you mean shapes"):
        load_model("shape")
    with pytest.raises(
        ValueError, match="the model '???' is unknown; known are shapes, torchvision's".replace("?", r"\?")
    ):
        load_model("???")
    with pytest.raises(FileNotFoundError, match=r"the network net.pth does not exist; check the path"):
        load_model("net.pth")
    with pytest.raises(
        ValueError, match="'V3' is neither a file nor weights of resnet50; torchvision has IMAGENET1K_V1, I"
    ):
        load_model("resnet50", "V3")


# --- somebody's own -------------------------------------------------------------------------------------------------

OWN = """
from torch import nn
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

class Homes:
    @staticmethod
    def deep():
        return Net()

ready = Net().eval()
number = 3

def described():
    return LoadedModel(Net(), Preprocessing(8, 8), ("cat", "dog"), ("0",), source="mine")

def nothing():
    return None

def broken():
    return {}["key"]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_nets.py").write_text(OWN)
    (tmp_path / "own_broken.py").write_text("import not_there_at_all")
    (tmp_path / "own_crash.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]
    return tmp_path


@pytest.mark.parametrize("name", ["Net", "Homes.deep", "ready"])
def test_a_factory_of_one_s_own(name: str, own: Path) -> None:
    loaded = load_model(f"own_nets:{name}", size=32, mean=[0.5] * 3, std=[0.25] * 3)
    assert type(loaded.model).__name__ == "Net"
    assert loaded.source == f"own_nets:{name}"
    assert loaded.preprocessing == Preprocessing(37, 32, (0.5,) * 3, (0.25,) * 3)
    assert load_model(f"own_nets:{name}", size=32, mean=[0.5], std=[0.25]).preprocessing == loaded.preprocessing


def test_a_factory_that_says_everything(own: Path) -> None:
    loaded = load_model("own_nets:described", device="cpu", squash=True)
    assert isinstance(loaded, LoadedModel)
    assert loaded.categories == ("cat", "dog")
    assert loaded.target_layers == ("0",)
    assert loaded.preprocessing == Preprocessing((8, 8), None)
    padded = load_model("own_nets:described", pad=True, size=9, mean=[0.5] * 3)
    assert padded.preprocessing == Preprocessing((9, 9), None, (0.5,) * 3, pad=(0.5,) * 3)
    with pytest.raises(ValueError, match="squash changes the picture's shape and pad keeps it; give one of them"):
        load_model("own_nets:described", squash=True, pad=True)


def test_weights_apply_to_one_s_own(own: Path) -> None:
    model = load_model("own_nets:Net").model
    torch.save({f"model.{key}": value for key, value in model.state_dict().items()}, "own.pth")
    loaded = load_model("own_nets:described", "own.pth")
    assert agree(loaded.model, model)
    assert loaded.source == "mine, weights from own.pth"


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("own_nets:nothing", TypeError, r"own_nets:nothing\(\) returned a NoneType; return a torch.nn.Module"),
        ("own_nets:broken", RuntimeError, r"own_nets:broken\(\) raised KeyError: 'key'; it is called without"),
        ("own_nets:number", TypeError, "own_nets:number is a int; name a function"),
        ("own_nets:net", ImportError, "'own_nets' has no 'net'; it has .*Net"),
        ("own_net:Net", ImportError, "there is no module 'own_net'; it is looked for in"),
        ("own_broken:Net", ImportError, "'own_broken' cannot be imported: No module named 'not_there_at_all'"),
        ("own_crash:Net", ImportError, "'own_crash' raised ZeroDivisionError: division by zero"),
        ("nets/own_nets.py:Net", ValueError, "names a file; write it as a module: nets.own_nets:Net"),
        ("own_nets:", ValueError, "does not name a factory; write package.module:function"),
        (":Net", ValueError, "does not name a factory"),
    ],
)
def test_factories_that_cannot_be_used(spec: str, error: type[Exception], message: str, own: Path) -> None:
    with pytest.raises(error, match=message):
        load_model(spec)


# --- real weights ---------------------------------------------------------------------------------------------------


def test_the_built_in_network_needs_nothing() -> None:
    from pytorch_grad_cam.data.scenes import SHAPES, render_scene

    random_state = torch.get_rng_state()
    loaded = load_model("shapes")
    assert torch.equal(torch.get_rng_state(), random_state)
    assert loaded.scores == "multi-label"
    assert loaded.categories == SHAPES
    assert not any(module.training for module in loaded.model.modules())
    scene = render_scene(0, labels=["star", "ring"], difficulty=0.0)
    with torch.no_grad():
        found = loaded.model(loaded.preprocessing(scene.image)[None])[0].sigmoid()
    assert {SHAPES[index] for index in (found > 0.5).nonzero().flatten().tolist()} == {"star", "ring"}


def test_the_built_in_network_with_other_weights(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = shapes.ShapesNet().eval()
    torch.save(model.state_dict(), tmp_path / "a.pth")
    assert agree(load_model("shapes", str(tmp_path / "a.pth")).model, model)


@pytest.mark.parametrize(
    ("name", "file", "options"),
    [
        ("squeezenet1_0", "squeezenet1_0_imagenet.pth", {}),
        ("mobilenet_v2", "mobilenet_v2_imagenet.pth", {"size": 225, "mean": [0.5] * 3, "std": [0.5] * 3}),
    ],
)
def test_golden_predictions(name: str, file: str, options: dict[str, Any], shared: Path) -> None:
    data = shared / "data"
    golden = json.loads((data / "expected_predictions.json").read_text())
    loaded = load_model(name, str(data / "models" / file), **options)
    preprocessing = Preprocessing(256, loaded.preprocessing.crop, loaded.preprocessing.mean, loaded.preprocessing.std)
    pictures = [picture for picture in golden if picture.startswith("images/")][:8]
    assert len(pictures) == 8
    for picture in pictures:
        with torch.no_grad():
            shares = loaded.model(preprocessing(read_image(data / picture))[None])[0].softmax(0).numpy()
        expected = dict(golden[picture][name])
        found = {index: float(shares[index]) for index in expected}
        assert found == pytest.approx(expected, abs=1e-4), picture
        assert np.argmax(shares) == golden[picture][name][0][0], picture
