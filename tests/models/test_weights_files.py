"""Weights from files: every usual form is read, everything else is refused with the reason."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import missing
from helpers.again import again
from helpers.torchvision_nets import SMALL, agree, forbid_downloads, torchvision_net
from torch import Tensor, nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.from_torchvision import _build_options, _with_own_size
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.weights_file import copy_weights, read_weights, without_prefix


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forbid_downloads(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return torchvision_net(SMALL)


@pytest.fixture
def saved(small: nn.Module, tmp_path: Path) -> str:
    torch.save(small.state_dict(), tmp_path / "small.pth")
    return str(tmp_path / "small.pth")


# --- files that fit --------------------------------------------------------------------------------------------------


def test_a_file_of_weights(saved: str, small: nn.Module) -> None:
    random_state = torch.get_rng_state()
    loaded = load_model(SMALL, saved)
    assert agree(loaded.model, small)
    assert not any(module.training for module in loaded.model.modules())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert loaded.preprocessing == Preprocessing()
    assert loaded.categories is not None
    assert loaded.categories[282] == "tiger cat"
    assert loaded.source == f"{SMALL}, weights from {saved}"
    assert loaded.scores is None


@pytest.mark.parametrize("prefix", ["module.model.", "backbone.", *again("module.", "model.", "_orig_mod.")])
def test_prefixes_come_off_and_what_lies_outside_is_left_out(prefix: str, small: nn.Module, tmp_path: Path) -> None:
    weights = {f"{prefix}{name}": value for name, value in small.state_dict().items()}
    weights["criterion.weight"] = torch.ones(3)
    torch.save({"state_dict": weights, "epoch": 3, "optimizer": {"state": {}}}, tmp_path / "checkpoint.ckpt")
    assert agree(load_model(SMALL, str(tmp_path / "checkpoint.ckpt")).model, small)


@pytest.mark.parametrize("key", ["model_state_dict", *again("model", "net", "weights")])
def test_checkpoints_of_many_programs(key: str, small: nn.Module, tmp_path: Path) -> None:
    torch.save({key: small.state_dict(), "best": 0.9}, tmp_path / "a.pt")
    assert agree(load_model(SMALL, str(tmp_path / "a.pt")).model, small)


def test_half_precision_becomes_the_network_s(small: nn.Module, tmp_path: Path) -> None:
    halves = {key: value.half() if value.is_floating_point() else value for key, value in small.state_dict().items()}
    torch.save(halves, tmp_path / "half.pth")
    model = load_model(SMALL, str(tmp_path / "half.pth")).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert agree(model, small, tolerance=1e-3)
    assert not agree(model, small)


def test_safetensors(small: nn.Module, tmp_path: Path) -> None:
    safetensors = missing.package("safetensors.torch")
    path = tmp_path / "small.safetensors"
    safetensors.save_file(small.state_dict(), path)
    assert agree(load_model(SMALL, str(path)).model, small)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"small.safetensors is not a safetensors file, or is damaged"):
        load_model(SMALL, str(path))


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", *again("resnet18", "mobilenet_v3_small")])
def test_the_number_of_classes_is_read_off_the_weights(name: str, tmp_path: Path) -> None:
    model = torchvision_net(name, classes=7)
    torch.save(model.state_dict(), tmp_path / "seven.pth")
    loaded = load_model(name, str(tmp_path / "seven.pth"))
    assert agree(loaded.model, model)
    assert loaded.categories is None


def test_old_names_and_missing_counters(tmp_path: Path) -> None:
    """As in the files on torchvision's site, which are older than its DenseNet and than num_batches_tracked."""
    model = torchvision_net("densenet121")
    old = {}
    for key, value in model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            old_key = key
            if "denselayer" in key:
                for part in ("norm", "conv"):
                    old_key = old_key.replace(f"{part}1.", f"{part}.1.").replace(f"{part}2.", f"{part}.2.")
            old[old_key] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    assert agree(load_model("densenet121", str(tmp_path / "old.pth")).model, model)


@pytest.mark.parametrize("extra_heads", [False, *again(True)])
def test_googlenet_is_built_as_for_its_own_weights(extra_heads: bool, tmp_path: Path) -> None:
    model: Any = torchvision_net("googlenet", aux_logits=extra_heads, init_weights=False, transform_input=True)
    torch.save(model.state_dict(), tmp_path / "a.pth")
    loaded: Any = load_model("googlenet", str(tmp_path / "a.pth")).model
    assert loaded.transform_input  # its weights expect other means than its preprocessing gives
    assert agree(loaded, model)


def test_a_network_that_insists_on_a_version(tmp_path: Path) -> None:
    model = torchvision_net("mnasnet0_5")
    torch.save(dict(model.state_dict()), tmp_path / "plain.pth")
    torch.save({f"module.{key}": value for key, value in model.state_dict().items()}, tmp_path / "prefixed.pth")
    for name in ("plain.pth", "prefixed.pth"):
        assert agree(load_model("mnasnet0_5", str(tmp_path / name)).model, model)


def test_versions_survive_the_loss_of_a_prefix() -> None:
    weights: Any = OrderedDict({"module.0.weight": torch.ones(2, 2), "module.0.bias": torch.ones(2)})
    weights._metadata = OrderedDict({"": {"version": 1}, "module": {"version": 5}, "module.0": {"version": 3}})
    stripped: Any = without_prefix(weights, nn.Sequential(nn.Linear(2, 2)))
    assert list(stripped) == ["0.weight", "0.bias"]
    assert stripped._metadata == {"": {"version": 5}, "0": {"version": 3}}


def test_a_vision_transformer_takes_the_size_of_its_weights() -> None:
    from torchvision.models import VisionTransformer

    with torch.random.fork_rng(devices=[]):
        model = VisionTransformer(24, 8, num_layers=2, num_heads=1, hidden_dim=8, mlp_dim=8, num_classes=4)
    assert _build_options("vit_b_32", model.state_dict()) == {"image_size": 96}  # 3 x 3 patches of 32
    loaded = _with_own_size(LoadedModel(model, Preprocessing()))
    assert (loaded.preprocessing.resize, loaded.preprocessing.crop) == (24, 24)


@pytest.mark.slow
def test_a_vision_transformer_of_another_size(tmp_path: Path) -> None:
    model = torchvision_net("vit_b_32", classes=4, image_size=96)
    torch.save(model.state_dict(), tmp_path / "vit.pth")
    loaded = load_model("vit_b_32", str(tmp_path / "vit.pth"))
    assert agree(loaded.model, model)
    assert (loaded.preprocessing.resize, loaded.preprocessing.crop) == (96, 96)


# --- files of weights that cannot be used ---------------------------------------------------------------------------


def test_weights_of_another_network(saved: str) -> None:
    message = (
        r"the weights of .*small.pth do not fit SqueezeNet: missing: features.0.weight, features.0.bias, "
        r"features.3.squeeze.weight, ... \(52 in all\); not in the network: conv1.0.weight, .*"
    )
    with pytest.raises(ValueError, match=message):
        load_model("squeezenet1_1", saved)


def test_one_key_missing_one_left_over_one_misshaped() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    weights = dict(model.state_dict())
    del weights["0.bias"]
    weights["2.bias"] = torch.zeros(1)
    weights["1.weight"] = torch.zeros(4, 9)
    message = "missing: 0.bias; not in the network: 2.bias; of another shape: 1.weight 4x9 instead of 4x3$"
    with pytest.raises(ValueError, match=message):
        copy_weights(model, weights, "a.pth")


def test_files_that_hold_no_weights(saved: str, tmp_path: Path) -> None:
    page, cut, empty, listed, nothing = (tmp_path / name for name in ("page", "cut", "empty", "list", "nothing"))
    page.write_text("<!DOCTYPE html>")
    cut.write_bytes(Path(saved).read_bytes()[:5000])
    empty.touch()
    torch.save([torch.zeros(1)], listed)
    torch.save({"epoch": 3, "loss": 0.1}, nothing)
    for path, message in (
        (page, "page is not a file of weights: torch.save did not write it"),
        (empty, "empty is not a file of weights"),
        (cut, r"cut is damaged or incomplete, or not a file of weights \(File is not a zip file\); fetch it again"),
        (listed, "list holds a list instead of a state dict"),
        (nothing, "nothing holds no state dict of names and tensors, but epoch, loss"),
    ):
        with pytest.raises(ValueError, match=message):
            read_weights(path)
    with pytest.raises(FileNotFoundError, match=r"no.pth does not exist; check the path"):
        read_weights(tmp_path / "no.pth")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_weights(tmp_path)


def explode() -> dict[str, Tensor]:
    raise AssertionError("unpickled although nobody allowed it")


class Bomb:
    def __reduce__(self) -> Any:
        return explode, ()


def test_nothing_is_unpickled_unless_allowed(small: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"state_dict": small.state_dict(), "bomb": Bomb()}, path)
    message = r"a.pth holds Python objects beside tensors \(test_weights_files.explode\), .* --trust-pickle"
    with pytest.raises(ValueError, match=message):
        load_model(SMALL, str(path))
    with pytest.raises(ValueError, match=r"a.pth is damaged") as caught:  # allowed, it runs, and here it raises
        load_model(SMALL, str(path), trust_pickle=True)
    assert isinstance(caught.value.__cause__, AssertionError)
    torch.save({"state_dict": small.state_dict(), "args": argparse.Namespace(lr=0.1)}, path)
    with pytest.raises(ValueError, match=r"argparse.Namespace"):
        load_model(SMALL, str(path))
    assert agree(load_model(SMALL, str(path), trust_pickle=True).model, small)


def test_a_whole_pickled_network_lends_its_weights(small: nn.Module, tmp_path: Path) -> None:
    torch.save({"model": small}, tmp_path / "whole.pth")
    with pytest.raises(ValueError, match="holds Python objects beside tensors"):
        load_model(SMALL, str(tmp_path / "whole.pth"))
    assert agree(load_model(SMALL, str(tmp_path / "whole.pth"), trust_pickle=True).model, small)


@pytest.mark.filterwarnings("ignore:.*torch.jit")  # deprecated, but such files are around
def test_a_scripted_network_is_refused(tmp_path: Path) -> None:
    scripted: Any = torch.jit.script(nn.Linear(2, 2))
    scripted.save(str(tmp_path / "scripted.pt"))
    with pytest.raises(ValueError, match=r"scripted.pt is a TorchScript archive; save model.state_dict\(\)"):
        load_model(SMALL, str(tmp_path / "scripted.pt"))
