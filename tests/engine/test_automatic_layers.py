"""The automatic choice of a layer and of a token grid, on small networks whose right answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import now
from helpers.tiny_nets import CLASSES, ConvNet, GapLinear, ResidualNet, TinyViT, build, inputs, tokens_to_grid
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam import AblationCAM, EigenCAM, GradCAM, HiResCAM, LayerCAM, ReciproCAM, ScoreCAM
from pytorch_grad_cam.common.messages import OWN_TARGET, MeaninglessMapWarning
from pytorch_grad_cam.engine.auto_layer import automatic_layer
from pytorch_grad_cam.engine.executed_layers import report_layers

METHODS = (GradCAM, LayerCAM, EigenCAM, ScoreCAM, AblationCAM, ReciproCAM)


def swin() -> nn.Module:
    """Two stages of two blocks with shifted windows; channels last inside, 8 and 16 of them."""
    from torchvision.models import SwinTransformer

    return build(SwinTransformer, [2, 2], 8, [2, 2], [2, 2], [2, 2], num_classes=CLASSES, stochastic_depth_prob=0.0)


def rgb(height: int, width: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def chosen(model: nn.Module, x: Tensor) -> str:
    with torch.no_grad():
        return automatic_layer(model, lambda: model(x), x).name


CASES: dict[str, tuple[Callable[[], nn.Module], Tensor, str, Callable[[Tensor], Tensor]]] = {
    "vit": (lambda: build(TinyViT), inputs(size=TinyViT.size), "blocks.1.norm1", tokens_to_grid),
    "swin": (swin, rgb(24, 40), "norm", lambda x: x.permute(0, 3, 1, 2)),
}


@pytest.mark.parametrize(
    "method", now(METHODS, lambda method: method.__name__ in ("GradCAM", "AblationCAM")), ids=lambda each: each.__name__
)
@pytest.mark.parametrize("case", CASES)
def test_nothing_given_is_what_would_be_given(case: str, method: Any) -> None:
    make, x, layer, reshape = CASES[case]
    net = make()
    found = method(net).explain(x, 1, relu=False)
    expected = method(net, layer, reshape).explain(x, 1, relu=False)
    assert found.layers == (layer,)
    assert not any(found.notes)
    assert float(found.maps.flatten(1).std(1).min()) > 1e-3
    torch.testing.assert_close(found.raw[0], expected.raw[0], rtol=0, atol=0)
    torch.testing.assert_close(found.maps, expected.maps, rtol=0, atol=0)
    given = method(net, layer).explain(x, 1, relu=False)  # the layer, but no reshape_transform
    torch.testing.assert_close(given.maps, expected.maps, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("net", "x"),
    [(build(TinyViT), inputs(size=TinyViT.size)), (swin(), rgb(16, 24)), (build(ConvNet), inputs())],
    ids=["vit", "swin", "conv"],
)
def test_the_choice_costs_one_pass_once(net: nn.Module, x: Tensor) -> None:
    passes = []
    handle = net.register_forward_hook(lambda *_: passes.append(1))
    cam = GradCAM(net)
    cam(x, 1, relu=False)
    assert len(passes) == 2
    cam(x, 1, relu=False)
    GradCAM(net, cam.target_layers)(x, 1, relu=False)
    assert len(passes) == 4
    handle.remove()


def test_the_grid_follows_the_input() -> None:
    net = swin()
    cam = GradCAM(net)
    for height, width in ((16, 24), (24, 16), (40, 24)):
        explanation = cam.explain(rgb(height, width), 1, relu=False)
        assert explanation.raw[0].shape[1:] == (height // 4, width // 4)
        expected = GradCAM(net, "norm", lambda x: x.permute(0, 3, 1, 2)).explain(rgb(height, width), 1, relu=False)
        torch.testing.assert_close(explanation.maps, expected.maps, rtol=0, atol=0)


def test_a_layer_behind_which_patches_do_not_matter_is_refused() -> None:
    net, x = build(TinyViT), inputs(size=TinyViT.size)
    for layer in ("norm", "blocks.1", "blocks.1.norm2", "blocks.1.mlp"):
        with pytest.raises(ValueError, match=f"after layer '{layer}' the head reads .* the layer 'blocks.1.norm1'"):
            GradCAM(net, layer)(x, 1)
        assert EigenCAM(net, layer)(x).shape == (2, 6, 10)  # shows what stands out, whatever the head reads
    assert not any(GradCAM(net, "blocks.0").explain(x, 1, relu=False).notes)


class Encoder(nn.Module):
    """Post-norm layers of torch itself: the norm of a layer comes behind its attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(2, 8, 2, stride=2)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(3)])
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, 0])


class Scored(nn.Module):
    """One map per class, then their mean, as SqueezeNet has it; and a head that helps in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU())
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(6, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.aux_classifier = nn.Conv2d(6, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        scores: Tensor = self.classifier(x).flatten(1)
        self.aux_classifier(x)
        return scores


class Pooled(nn.Module):
    """A resizing pool and a permutation after the features: neither is where to look."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.pool = nn.AdaptiveAvgPool2d((3, 3))
        self.turned = nn.Flatten(2)
        self.head = nn.Linear(54, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.turned(self.pool(self.features(x)))).flatten(1))


class Wrapper(nn.Module):
    """Somebody's own module around a network."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.net(x * 2)}


@pytest.mark.parametrize(
    ("net", "x", "name"),
    [
        (build(Encoder), inputs(size=(6, 10)), "layers.1"),
        (build(Scored), inputs(), "features"),
        (build(Pooled), inputs(), "features"),
        (build(ConvNet), inputs(), "act3"),
        (build(ResidualNet), inputs(), "tail"),
        (build(GapLinear, 3), inputs(3), "features"),
        (Wrapper(build(Pooled)), inputs(), "net.features"),
        (Wrapper(build(TinyViT)), inputs(size=TinyViT.size), "net.blocks.1.norm1"),
    ],
    ids=["post-norm", "scored", "pooled", "conv", "residual", "3-d", "wrapped", "wrapped-vit"],
)
def test_what_is_chosen(net: nn.Module, x: Tensor, name: str) -> None:
    assert chosen(net, x) == name
    explanation = GradCAM(net).explain(x, 1, relu=False)
    assert explanation.layers == (name,)
    assert not any(explanation.notes)
    with torch.no_grad():
        reports = {each.name: each for each in report_layers(net, lambda: net(x), x)}
    assert not reports[name].problem  # the layer browser agrees


def test_a_family_is_known_through_wrappers() -> None:
    from torchvision.models import ResNet
    from torchvision.models.resnet import BasicBlock

    net = build(ResNet, BasicBlock, [1, 1, 1, 1], num_classes=CLASSES)
    assert chosen(net, rgb(64, 96)) == "layer4"
    assert chosen(Wrapper(Wrapper(net)), rgb(64, 96)) == "net.net.layer4"
    assert chosen(net, rgb(32, 32)) == "layer3"  # one position is nothing to look at


def test_no_choice() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(2 * 11 * 14, 3))
    with pytest.raises(ValueError, match=r"no layer of Sequential returns .* nor tokens in a grid"):
        chosen(flat, inputs())


def test_tokens_in_the_layer_browser() -> None:
    net, x = build(TinyViT), inputs(size=TinyViT.size)
    with torch.no_grad():
        reports = {each.name: each for each in report_layers(net, lambda: net(x), x)}
    assert reports["blocks.1.norm1"].layout == "tokens in a grid of 3 x 5 after 1 other"
    assert reports["patches"].layout == ""
    assert reports["head"].problem == "is the model's output"


def test_tuples_of_tensors() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x.mean((2, 3))

    class Net(ConvNet):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()

        def features(self, x: Tensor) -> Tensor:
            return self.pair(super().features(x))[0]

    net = build(Net)
    np.testing.assert_array_equal(
        GradCAM(net, "pair")(inputs(), 1, relu=False), GradCAM(net, "act2")(inputs(), 1, relu=False)
    )
    np.testing.assert_array_equal(
        AblationCAM(net, "pair")(inputs(), 1, relu=False), AblationCAM(net, "act2")(inputs(), 1, relu=False)
    )


@pytest.mark.parametrize("boxes", [False, True])
def test_heads_side_by_side_are_no_target_layer(boxes: bool) -> None:
    """A detector's last layer makes one score of each position: a map of it would be a dot."""

    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
            self.head = nn.ModuleDict({"box": nn.Conv2d(8, 4, 1), "cls": nn.Conv2d(8, 5, 1)})

        def forward(self, x: Tensor) -> Any:
            features = self.backbone(x)
            found = torch.cat([head(features) for head in self.head.values()], 1)  # (B, 4 + 5, h, w)
            rows = found.flatten(2).mT
            return [{"boxes": row[:, :4], "scores": row[:, 4:].amax(1)} for row in rows] if boxes else found

    assert chosen(build(Detector), rgb(24, 40)).startswith("backbone")
    wrapped = nn.Sequential()  # as who wraps a network keeps it
    wrapped.add_module("model", build(Detector))
    assert chosen(wrapped, rgb(24, 40)).startswith("model.backbone")


class _Scales(nn.Module):
    """A head like YOLO's for maps of two scales: towers for boxes and classes, all positions in one row."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes = nn.ModuleList([nn.Sequential(nn.Conv2d(8, 6, 3, 1, 1), nn.Conv2d(6, 8, 1)) for _ in range(2)])
        self.classes = nn.ModuleList([nn.Sequential(nn.Conv2d(8, 6, 3, 1, 1), nn.Conv2d(6, 3, 1)) for _ in range(2)])
        self.decoder = nn.Conv2d(2, 1, 1, bias=False)  # of distributions, as DFL

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        boxes = torch.cat([head(map).flatten(2) for head, map in zip(self.boxes, maps, strict=True)], 2)
        classes = torch.cat([head(map).flatten(2) for head, map in zip(self.classes, maps, strict=True)], 2)
        decoded = self.decoder(boxes.unflatten(1, (2, 4)).softmax(1)).flatten(1, 2)  # (B, 4, N)
        return torch.cat([decoded, classes.sigmoid()], 1), maps


class _YoloOfScales(nn.Module):
    """Two scales, the second made of the first; the head is one of the modules in a row, and returns its maps, too."""

    def __init__(self, rectified: bool) -> None:
        super().__init__()
        small, large = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.SiLU()), nn.Sequential(nn.Conv2d(8, 8, 3, 2), nn.SiLU())
        self.model = nn.ModuleList([small, large, nn.Conv2d(8, 8, 3, 1, 1), _Scales()])
        self.rectified = rectified

    def forward(self, x: Tensor) -> Any:
        first = self.model[0](x)
        second = self.model[2](self.model[1](first))
        if self.rectified:  # between layers, so that no layer returned what the head takes
            first, second = F.relu(first), F.relu(second)
        return self.model[3]([first, second])


@pytest.mark.parametrize("rectified", [False, True])
def test_what_feeds_the_head_at_every_scale(rectified: bool) -> None:
    net, x = build(_YoloOfScales, rectified), rgb(24, 40)
    cells = 11 * 19
    small = GradCAM(net, output=0).explain(x, lambda y: y[4, 100], relu=False)  # a cell of the first scale
    assert small.layers == ("model.0", "model.2")
    stages = GradCAM(net, "stages", output=0).explain(x, lambda y: y[4, 100], relu=False)
    assert stages.layers == small.layers  # the scales are one per resolution already
    assert torch.equal(stages.maps, small.maps)
    assert not any(small.notes)  # that the second scale does not matter to it is no fault
    assert int((small.raw[1] != 0).sum()) == 0
    large = GradCAM(net, output=0).explain(x, lambda y: y[4, cells + 20], relu=False)
    assert not any(large.notes)
    assert all(int((raw != 0).sum()) > 1 for raw in large.raw)
    with torch.no_grad():
        reports = {each.name: each for each in report_layers(net, lambda: net(x), x)}
    assert reports["model.0"].shape == (8, 11, 19)
    with pytest.warns(MeaninglessMapWarning, match="zero gradient at layer 'model.2'"):  # named by hand, it is said
        GradCAM(net, ["model.0", "model.2"], output=0)(x, lambda y: y[4, 100])


def test_heads_that_lie_beside_each_other_in_the_network() -> None:
    """Towers without a module around them: neither the other head's tower nor its output is taken."""

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU())
            self.neck = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU())
            self.class_tower, self.classes = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU()), nn.Conv2d(8, 3, 1)
            self.box_tower, self.boxes = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU()), nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            map = self.neck(self.body(x))
            classes = self.classes(self.class_tower(map))
            return torch.cat([self.boxes(self.box_tower(map)), classes], 1).flatten(2)

    net, x = build(Flat), rgb(24, 40)
    assert chosen(net, x) == "neck"
    assert not any(HiResCAM(net).explain(x, lambda y: y[5, 60], relu=False).notes)


@pytest.mark.parametrize(("layer", "own"), [("body", False), ("scores", True), ("up", True)])
def test_a_layer_that_the_target_is_read_off_is_noted(layer: str, own: bool) -> None:
    net = nn.Sequential()
    net.add_module("body", nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1)))
    net.add_module("scores", nn.Conv2d(8, 4, 1))
    net.add_module("up", nn.Upsample(scale_factor=2))
    net, x = net.eval(), rgb(12, 20)

    def target(scores: Tensor) -> Tensor:
        return scores[2, :10, :10].sum()

    for method in (GradCAM, HiResCAM):
        notes = method(net, layer).explain(x, target, relu=False).notes if not own else ()
        if own:
            with pytest.warns(MeaninglessMapWarning, match=f"the target is read off layer '{layer}' itself"):
                notes = method(net, layer).explain(x, target, relu=False).notes
        assert [[note.code for note in of_image] for of_image in notes] == [[OWN_TARGET] if own else []] * 2
    with pytest.warns(MeaninglessMapWarning, match="depends on one position of layer 'body'"):
        HiResCAM(net, "body").explain(x, lambda scores: scores[2, 5, 5], relu=False)
