"""``target_layers="stages"``: one layer per resolution, of every kind of network, from Python and the command line."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from helpers.detectors import detector, pictures
from helpers.methods_for_any_network import few_steps  # noqa: F401 - the fixture
from helpers.paths import ROOT
from helpers.tiny_nets import ConvNet, TinyViT, UNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, RefineCAM
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.methods import METHODS

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
ANY_LAYER = [name for name, method in METHODS.items() if not method.needs]


class OneResolution(nn.Module):
    """As many positions from the first to the last of its seven convolutions, as in networks of signals and volumes."""

    def __init__(self, kind: type[nn.Module], width: int = 4) -> None:
        super().__init__()
        widths = [3, *[width] * 7]
        blocks = [nn.Sequential(kind(a, b, 3, padding=1), nn.ReLU()) for a, b in itertools.pairwise(widths)]  # type: ignore[call-arg]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.blocks(x).flatten(2).mean(2))
        return scores


def chosen(model: nn.Module, x: Tensor) -> tuple[list[str], list[tuple[int, ...]]]:
    found = HiResCAM(model.eval(), "stages").explain(x)
    return list(found.layers), [tuple(raw.shape[1:]) for raw in found.raw]


RESOLUTIONS = {
    "resnet18": (["layer2", "layer3", "layer4"], [16, 8, 4]),
    "vgg11": (["features.14", "features.19", "features"], [16, 8, 4]),
    "densenet121": (["features.denseblock2", "features.denseblock3", "features"], [16, 8, 4]),
    "mobilenet_v2": (["features.6", "features.13", "features"], [16, 8, 4]),
    "swin_t": (["features.3", "features.5", "norm"], [16, 8, 4]),
}


@pytest.mark.again
@pytest.mark.parametrize("name", RESOLUTIONS)
def test_the_last_of_each_of_the_last_three_resolutions(name: str) -> None:
    torch.manual_seed(0)
    layers, sides = RESOLUTIONS[name]
    net = torchvision.models.get_model(name, weights=None)
    assert chosen(net, torch.randn(1, 3, 128, 128)) == (layers, [(side, side) for side in sides])


def test_blocks_spread_over_the_depth_of_a_plain_transformer() -> None:
    net = torchvision.models.VisionTransformer(32, 8, 6, 2, 16, 32, num_classes=4)
    names, grids = chosen(net, torch.randn(1, 3, 32, 32))
    assert names == [f"encoder.layers.encoder_layer_{block}.ln_1" for block in (1, 3, 5)]
    assert grids == [(4, 4)] * 3
    names, _ = chosen(build(TinyViT), inputs(2, 1, size=TinyViT.size))
    assert names == ["blocks.0.norm1", "blocks.1.norm1"]  # it has two


@pytest.mark.parametrize(("ndim", "kind"), [(1, nn.Conv1d), (2, nn.Conv2d), (3, nn.Conv3d)])
def test_layers_spread_over_the_depth_where_there_is_one_resolution(ndim: int, kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *(8,) * ndim)
    names, grids = chosen(OneResolution(kind), x)
    assert names == ["blocks.1.1", "blocks.4.1", "blocks"]
    assert grids == [(8,) * ndim] * 3


def test_signals_volumes_and_networks_that_widen_again() -> None:
    for ndim, grids in ((1, [(23,), (12,)]), (3, [(5, 6, 7), (3, 3, 4)])):
        assert chosen(build(ConvNet, ndim), inputs(ndim, 1)) == (["act1", "act3"], grids)
    assert chosen(build(UNet), inputs(2, 1))[0] == ["down", "middle", "up"]


@pytest.mark.parametrize("kind", ["FasterRCNN", "FCOS", "RetinaNet"])
def test_a_detector_with_an_automatic_layer(kind: str) -> None:
    net = detector(kind)
    (automatic,) = GradCAM(net).explain(pictures(1)).layers
    found = GradCAM(net, "stages").explain(pictures(1))
    assert found.layers == ("backbone.1", "backbone.3", automatic)
    assert found.maps.shape == (1, 80, 120)


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("name", ANY_LAYER)
def test_every_method_takes_the_choice(name: str, logged: Any) -> None:
    net, x = build(ConvNet, seed=1), inputs(2, 2)
    cam = METHODS[name].load()(net, "stages")
    first = cam.explain(x, 1)
    if not cam.uses_layers:
        return
    assert first.layers == ("act1", "act3")
    assert any("target layer chosen: act1, act3" in line for line in logged)
    named = METHODS[name].load()(net, ["act1", "act3"], **({"base_method": HiResCAM} if name == "refinecam" else {}))
    np.testing.assert_allclose(named.explain(x, 1).maps, first.maps, atol=1e-6)


def test_a_layer_of_that_name_stands_in_a_list(logged: Any) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = build(ConvNet, seed=1).conv1
            self.more = nn.Conv2d(4, 3, 3, stride=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.more(self.stages(x)).mean((2, 3))

    net = Named()
    net.more = nn.Conv2d(net.stages.out_channels, 3, 3, stride=2)
    assert GradCAM(net, ["stages"]).explain(inputs(2, 1)).layers == ("stages",)
    wanted = "'stages' is a choice of layers here; the layer of that name is ['stages']"
    assert not any(wanted in line for line in logged)
    GradCAM(net, "stages")
    assert any(wanted in line for line in logged)


def test_refinecam_refines_where_nothing_is_named() -> None:
    net, x = build(ConvNet, seed=1), inputs(2, 2)
    layers = ["act1", "act3"]
    for cam, base, names in (
        (RefineCAM(net), HiResCAM, layers),
        (RefineCAM(net, "stages"), HiResCAM, layers),
        (RefineCAM(net, base_method=GradCAM), GradCAM, layers),
        (RefineCAM(net, layers), GradCAMPlusPlus, layers),  # as in the package grad-cam
        (RefineCAM(net, ["act2"]), GradCAMPlusPlus, ["act2"]),
    ):
        found = cam.explain(x, 1)
        assert type(cam.base_cam) is base
        assert list(found.layers) == names
        parts = [base(net, name).explain(x, 1).maps.double() for name in names]
        product = torch.stack(parts).prod(0)
        spread = product.amax((1, 2), True) - product.amin((1, 2), True)
        wanted = (product - product.amin((1, 2), True)) / torch.where(spread > 0, spread, 1)
        np.testing.assert_allclose(found.maps, wanted, atol=1e-5)


@pytest.mark.usefixtures("here")
def test_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--model", "shapes", "--method", "hirescam", "--target-layers", "stages", "--save", "npy", "--layer-sweep"]
    assert main([str(ROOT / "examples" / "images" / "scene_star_ring.png"), *asked]) == 0
    printed = capsys.readouterr()
    assert "layer:      stem, stage1, stage4 (chosen automatically, one for each scale)\n" in printed.out
    assert not printed.err
