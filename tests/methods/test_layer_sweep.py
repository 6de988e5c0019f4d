"""`layer_sweep`: the same target at every stage of a network, from one pass."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import torch
from helpers.tiny_nets import CHANNELS, CLASSES, build, inputs
from helpers.vision_transformers import pictures, torchvision_vit
from torch import Tensor, nn

from pytorch_grad_cam import EigenCAM, FinerCAM, FullGrad, GradCAM, HiResCAM, ScoreCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.stages import MOST, stage_layers

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
STAGES = ["stem", "stages.0", "stages"]


class Staged(nn.Module):
    """A stem and two stages, each of half the resolution of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(CHANNELS, 4, 3, padding=1), nn.ReLU())
        stages = [
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.ReLU())
            for _ in range(2)
        ]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.stages(self.stem(x)))
        return scores


def chosen(model: nn.Module, x: Tensor) -> list[str]:
    with torch.no_grad():
        return [layer_name(model, layer) for layer in stage_layers(model, lambda: model(x), x)]


@pytest.mark.parametrize("method", [GradCAM, HiResCAM, EigenCAM, ScoreCAM, FinerCAM])
def test_each_map_is_that_of_its_layer_alone(method: type[BaseCAM]) -> None:
    net, x = build(Staged), inputs(2, size=(12, 16))
    sweep = method(net).layer_sweep(x, 1)
    assert list(sweep) == STAGES
    for name, found in sweep.items():
        alone = method(net, [name]).explain(x, 1)
        assert found.layers == (name,)
        assert torch.allclose(found.maps, alone.maps, atol=1e-5)
        assert torch.allclose(found.raw[0], alone.raw[0], atol=1e-5)
        assert found.notes == alone.notes
    assert len({found.raw[0].shape for found in sweep.values()}) == 3


def test_layers_that_are_named_in_their_order() -> None:
    net, x = build(Staged), inputs(2, size=(12, 16))
    sweep = HiResCAM(net, "stages.0").layer_sweep(x, [0, 2], ["stages.1", net.stem], relu=False, normalize="none")
    assert list(sweep) == ["stages.1", "stem"]
    # By hand: what HiResCAM is, for image 1 and class 2 at the stem.
    with torch.no_grad():
        stem = net.stem(x)
    leaf = stem.clone()
    leaf.requires_grad = True
    net.head(net.stages(leaf))[1, 2].backward()
    assert torch.allclose(sweep["stem"].raw[0][1], (leaf * leaf.grad)[1].sum(0), atol=1e-6)


def test_one_forward_and_one_backward_pass() -> None:
    net, x = build(Staged), inputs(2, size=(12, 16))
    runs: Counter[str] = Counter()
    net.register_forward_hook(lambda *_: runs.update(["forward"]))

    def see(module: nn.Module, _: object, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda grad: runs.update(["backward"]))

    net.stages[1][1].register_forward_hook(see)
    GradCAM(net).layer_sweep(x, 1, STAGES)
    assert runs == {"forward": 1, "backward": 1}


def test_the_sweep_ends_with_the_layer_that_the_method_has() -> None:
    net, x = build(Staged), inputs(2, size=(12, 16))
    assert list(GradCAM(net, "stages.0").layer_sweep(x)) == ["stem.1", "stages.0.1", "stages.0"]


def test_blocks_of_a_transformer() -> None:
    """The last is where the automatic choice looks: behind it the head reads the class token only."""
    net, x = torchvision_vit(num_layers=4), pictures(32, 32)
    expected = [f"encoder.layers.encoder_layer_{index}.ln_1" for index in range(4)]
    assert chosen(net, x) == expected
    cam = GradCAM(net)
    assert [found.raw[0].shape[1:] for found in cam.layer_sweep(x, 1).values()] == [(4, 4)] * 4
    assert cam.explain(x, 1).layers == (expected[-1],)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", ["relu", "layer1", "layer2", "layer3", "layer4"]),
        ("squeezenet1_1", ["features.1", "features.4", "features.7", "features"]),
        pytest.param("convnext_tiny", ["features.1", "features.3", "features.5", "features"], marks=pytest.mark.again),
    ],
)
def test_networks_that_people_have(name: str, expected: list[str]) -> None:
    from torchvision.models import get_model

    with torch.random.fork_rng(devices=[]):
        net = get_model(name, weights=None).eval()
    assert chosen(net, torch.zeros(1, 3, 64, 64)) == expected


def test_networks_of_one_resolution() -> None:
    """What follows each layer with weights; of many, as many as are shown, the last among them."""
    conv = partial(nn.Conv1d, kernel_size=3, padding=1)
    blocks = [layer for _ in range(20) for layer in (conv(CHANNELS, CHANNELS), nn.BatchNorm1d(CHANNELS), nn.ReLU())]
    head = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES)]
    short = build(lambda: nn.Sequential(*blocks[:9], *head))
    assert chosen(short, inputs(1)) == ["2", "5", "8"]
    long = build(lambda: nn.Sequential(*blocks, *head))
    names = chosen(long, inputs(1))
    assert len(names) == MOST
    assert names[-1] == "59"


def test_refused_in_words() -> None:
    net, x = build(Staged), inputs(2, size=(12, 16))
    with pytest.raises(ValueError, match="FullGrad looks at no layer that can be chosen"):
        FullGrad(net).layer_sweep(x, 1)
    with pytest.raises(TypeError, match="layer_sweep has no aug_smooth"):
        GradCAM(net).layer_sweep(x, 1, aug_smooth=True)
    with pytest.raises(ValueError, match="nowhere"):
        GradCAM(net).layer_sweep(x, 1, ["nowhere"])
