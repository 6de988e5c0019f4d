"""Programs of torch.export: the maps of the network they were made from, for any number of images."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import now
from helpers.methods_for_any_network import ANY_NETWORK, ONE_OF_A_KIND, few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import ConvNet, ResidualNet, build, inputs
from PIL import Image
from torch import nn

from pytorch_grad_cam import DeepFeatureFactorization, GradCAM
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.engine.replay import Replay
from pytorch_grad_cam.models import from_exported
from pytorch_grad_cam.models.load import load_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*not every map means something"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch's exporter
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
ANY = "any"
# A program has no kinds of layers, which FullGrad's biases and the linear layer of CAM are known by, and takes one size
# of pictures, where SESS looks through windows.
WITHOUT = ("fullgrad", "cam", "sess")


def saved(net: nn.Module, path: Path, batch: Any, side: tuple[int, ...] = ()) -> str:
    x = inputs(batch=2 if batch == ANY else batch, size=side or None)
    shapes = ({0: torch.export.Dim("batch")},) if batch == ANY else None
    torch.export.save(torch.export.export(net, (x,), dynamic_shapes=shapes, strict=False), path)
    return str(path)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, nn.Module]:
    folder = tmp_path_factory.mktemp("programs")
    return {each: load_model(saved(build(ConvNet), folder / f"{each}.pt2", each)).model for each in (1, 2, ANY)}


@pytest.mark.parametrize("fixed", [1, 2, ANY])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_everything_is_as_in_the_network(programs: dict[Any, nn.Module], fixed: Any, batch: int) -> None:
    net, program, x = build(ConvNet), programs[fixed], inputs(batch=batch)
    assert set(dict(program.named_modules())) == set(dict(net.named_modules()))
    with torch.no_grad():
        torch.testing.assert_close(program(x), net(x))
    expected, found = (GradCAM(each, ["conv2", "act3"]).explain(x, list(range(batch))) for each in (net, program))
    torch.testing.assert_close(found.maps, expected.maps)
    for name in ("raw", "weights"):
        for one, other in zip(getattr(found, name), getattr(expected, name), strict=True):
            torch.testing.assert_close(one, other)
    torch.testing.assert_close(found.outputs, expected.outputs)
    torch.testing.assert_close(found.scores, expected.scores)
    assert (found.classes, found.layers, found.notes) == (expected.classes, expected.layers, expected.notes)


@pytest.mark.parametrize(
    "name", now([name for name in ANY_NETWORK if name not in WITHOUT], lambda name: name in ONE_OF_A_KIND)
)
def test_every_method(programs: dict[Any, nn.Module], name: str) -> None:
    """Where a program takes two images: three run as two and as one that is filled up."""
    net, x = build(ConvNet), inputs(batch=3)
    expected, found = (ANY_NETWORK[name].load()(model, "conv2")(x, [0, 1, 2]) for model in (net, programs[2]))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_all_ways_of_asking(programs: dict[Any, nn.Module]) -> None:
    net, x = build(ConvNet), inputs(batch=3)
    each, found = (GradCAM(model, "conv2").explain_each(x, [0, [0, 1, 2], None]) for model in (net, programs[2]))
    torch.testing.assert_close(found.maps, each.maps)
    assert found.classes == each.classes
    for targets in (None, 1, torch.tensor([2, 1, 0]), np.eye(3)[[1, 1, 2]], (lambda output: output[0]), [0, None, 2]):
        one, other = (GradCAM(model, "conv2")(x, targets) for model in (programs[2], net))
        np.testing.assert_allclose(one, other, atol=1e-6)
    smooth = [GradCAM(model, "conv2")(x, 1, aug_smooth=True, eigen_smooth=True) for model in (programs[2], net)]
    np.testing.assert_allclose(*smooth, atol=1e-5)
    with pytest.raises(ValueError, match="2 targets for a batch of 3 images"):
        GradCAM(programs[2], "conv2")(x, [0, 1])
    leaf = x.clone().requires_grad_()
    GradCAM(programs[2], "conv2").explain(leaf, 1, differentiable=True).maps.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.flatten(1).any(1).all()


@pytest.mark.parametrize("fixed", [1, 2])
@pytest.mark.parametrize("layer", [None, "conv2"])
def test_concepts(programs: dict[Any, nn.Module], fixed: int, layer: str | None) -> None:
    net, x = build(ConvNet), inputs(batch=3)
    one = DeepFeatureFactorization(net, layer or "act3")
    other = DeepFeatureFactorization(programs[fixed], layer)
    expected, found = one.concepts(x, 2), other.concepts(x, 2)
    torch.testing.assert_close(found.maps, expected.maps)
    torch.testing.assert_close(other.outputs(x, found.vectors), one.outputs(x, expected.vectors))


@pytest.mark.parametrize("fixed", [1, 2])
def test_only_what_follows_the_layer_is_run_again(programs: dict[Any, nn.Module], fixed: int) -> None:
    program = programs[fixed]
    replay = Replay(program, program.get_submodule("conv2"), inputs(batch=1))
    assert replay.exact
    torch.testing.assert_close(replay(torch.cat([replay.activations] * 3)), replay.outputs.expand(3, -1))


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    torch.export.save(torch.export.export(net, (torch.randn(2, 3, 32, 48),), strict=False), tmp_path / "net.pt2")
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    given = ["--model", str(tmp_path / "net.pt2"), "--image-path", str(tmp_path / "a.png")]
    for method in ("gradcam", "scorecam", "ablationcam"):
        assert main([*given, "--method", method, "--output-dir", str(tmp_path / "out"), "--save", "overlay"]) == 0
        assert (tmp_path / "out" / f"{method}_cam.jpg").is_file()
    assert "48 x 32" in capsys.readouterr().out
    assert main(["layers", *given]) == 0
    assert "the automatic choice" in capsys.readouterr().out


class TestRefused:
    @pytest.mark.parametrize("kind", ["batch norm", "dropout"])
    def test_training_mode(self, kind: str, tmp_path: Path) -> None:
        net = build(ResidualNet) if kind == "batch norm" else nn.Sequential(nn.Conv2d(2, 3, 3), nn.Dropout())
        path = saved(net.train(), tmp_path / "net.pt2", 2)
        with pytest.raises(ValueError, match=r"exported in training mode \(aten\..*put the model in evaluation mode"):
            load_model(path)
        assert load_model(saved(net.eval(), tmp_path / "net.pt2", 2)).source == path

    def test_statistics_of_the_batch_in_evaluation_are_none_of_training(self, tmp_path: Path) -> None:
        norms = nn.BatchNorm2d(3, track_running_stats=False), nn.InstanceNorm2d(3)
        net, x = nn.Sequential(nn.Conv2d(2, 3, 3), *norms).eval(), inputs()
        loaded = load_model(saved(net, tmp_path / "net.pt2", 2))
        torch.testing.assert_close(loaded.model(x), net(x))

    def test_objects_are_not_unpickled_behind_ones_back(self, tmp_path: Path) -> None:
        """torch's own reader tries the safe way and, when that fails, silently the unsafe one."""
        path, proof = saved(build(ConvNet), tmp_path / "net.pt2", 2), tmp_path / "ran"
        torch.save(Evil(proof), tmp_path / "evil.pt")
        hostile = tmp_path / "hostile.pt2"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(hostile, "w") as new:
            for name in old.namelist():
                evil = "ample_inputs" in name  # example_inputs until torch 2.7
                new.writestr(name, (tmp_path / "evil.pt").read_bytes() if evil else old.read(name))
        with pytest.raises(ValueError, match=r"objects beside tensors \([\w.]+\).*any code.*--trust-pickle"):
            load_model(str(hostile))
        assert not proof.exists()
        with pytest.raises(ValueError, match="cannot be read as an exported program"):  # what came out is no input
            load_model(str(hostile), trust_pickle=True)
        assert proof.exists()  # so the file is as hostile as it is meant to be

    def test_objects_among_the_constants(self, tmp_path: Path) -> None:
        path = saved(build(ConvNet), tmp_path / "net.pt2", 2)
        hostile = tmp_path / "hostile.pt2"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(hostile, "w") as new:
            kept = [name for name in old.namelist() if not name.endswith("constants_config.json")]
            for name in kept:
                new.writestr(name, old.read(name))
            member = f"{kept[0].partition('/')[0]}/data/constants/model_constants_config.json"
            new.writestr(member, '{"config": {"x": {"path_name": "opaque_obj_0"}}}')
        with pytest.raises(ValueError, match=r"holds objects beside tensors \(opaque_obj_0\)"):
            load_model(str(hostile))

    def test_layers_that_torch_cannot_tell_apart(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """torch 2.6 does not find the layers of a strictly exported Sequential, its default then."""

        def unflatten(program: Any) -> None:
            raise RuntimeError("Child module 'getattr' is not a descendant of parent module \"L['fn']\".")

        monkeypatch.setattr(from_exported, "unflatten", unflatten)
        with pytest.raises(ValueError, match=r"net\.pt2 cannot be taken apart .*descendant.*strict=False"):
            load_model(saved(build(ConvNet), tmp_path / "net.pt2", 2))

    def test_what_is_no_program(self, tmp_path: Path) -> None:
        torch.save(build(ConvNet).state_dict(), tmp_path / "weights.pt2")
        (tmp_path / "text.pt2").write_text("a program")
        path = saved(build(ConvNet), tmp_path / "net.pt2", 2)
        shutil.copy(path, tmp_path / "half.pt2")
        with open(tmp_path / "half.pt2", "r+b") as file:
            file.truncate(Path(path).stat().st_size // 2)
        for name in ("weights", "text", "half"):
            with pytest.raises(ValueError, match=rf"{name}\.pt2 (holds|is) no exported program"):
                load_model(str(tmp_path / f"{name}.pt2"))
        with pytest.raises(FileNotFoundError, match="does not exist; check the path"):
            load_model(str(tmp_path / "none.pt2"))
        with pytest.raises(ValueError, match="holds its weights; leave out --weights"):
            load_model(path, "other.pth")


class Evil:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.proof,)
