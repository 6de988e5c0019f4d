# ruff: noqa: N806 - A, G and W are the names of the literature
"""Methods of other libraries against their definitions, written here in NumPy or as an ordinary autograd pass."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from helpers.independent_gradients import record
from helpers.tiny_nets import (
    CLASSES,
    SIZES,
    ConvNet,
    DictNet,
    GapLinear,
    ResidualNet,
    TinyViT,
    build,
    frozen,
    inputs,
    tokens_to_grid,
)
from helpers.unchanged_model import assert_unchanged
from torch import Tensor, nn

from pytorch_grad_cam import (
    CAM,
    ISCAM,
    SSCAM,
    GradCAM,
    GradCAMPlusPlus,
    GScoreCAM,
    LayerCAM,
    OptiCAM,
    ReciproCAM,
    ScoreCAM,
    SmoothGradCAMPlusPlus,
    ViTReciproCAM,
)
from pytorch_grad_cam.targets.classification import ClassifierOutputSoftmaxTarget

pytestmark = [pytest.mark.again, pytest.mark.filterwarnings("ignore:.*not every map means something")]
every_rank = pytest.mark.parametrize("ndim", SIZES)
TARGETS = [0, 2]


def error(got: Any, want: Any) -> float:
    """The largest difference, relative to the largest wanted value."""
    got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
    assert got.shape == want.shape
    assert np.isfinite(got).all()
    return float(np.abs(got - want).max() / (np.abs(want).max() or 1.0))


def double(kind: Any, ndim: int, seed: int = 0) -> nn.Module:
    return build(kind, ndim, seed=seed).double()


def asked(outputs: Tensor) -> Tensor:
    return outputs[range(len(outputs)), TARGETS]


def activations(net: nn.Module, layer: str, x: Tensor) -> np.ndarray:
    return record(net, [layer], x, asked).A[0]


def replaced(net: nn.Module, layer: str, x: Tensor, value: Tensor) -> Tensor:
    """Outputs of a copy of ``net`` in which ``layer`` returns ``value``."""
    net = copy.deepcopy(net)
    net.get_submodule(layer).register_forward_hook(lambda module, args, output: value)
    with torch.no_grad():
        return net(x)


# -- CAM
@every_rank
@pytest.mark.parametrize("signed", [False, True])
def test_cam_is_the_head_and_sums_to_the_logit(ndim: int, signed: bool) -> None:
    net, x = build(GapLinear, ndim, signed=signed).double(), inputs(ndim).double()
    got = CAM(net, "features").explain(x, TARGETS, relu=False)
    A, W = activations(net, "features", x), net.head.weight.detach().numpy()[TARGETS]
    assert error(got.raw[0], np.einsum("bc,bc...->b...", W, A)) < 1e-12
    with torch.no_grad():
        logits = asked(net(x)) - net.head.bias[TARGETS]
    assert error(got.raw[0].flatten(1).mean(1), logits) < 1e-12
    n = A[0, 0].size
    assert error(got.raw[0], n * GradCAM(net, "features").explain(x, TARGETS).raw[0]) < 1e-12
    if signed:
        assert got.maps.min() < 0


class ConvThenPool(nn.Module):
    """As SqueezeNet ends: a 1x1 convolution to the classes, perhaps a ReLU, then the mean."""

    def __init__(self, ndim: int, act: bool) -> None:
        super().__init__()
        inner = build(ConvNet, ndim)
        self.body = nn.Sequential(inner.conv1, nn.ReLU(), inner.conv2, nn.ReLU(), inner.conv3, nn.ReLU())
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[ndim - 1]
        self.conv, self.act = conv(6, CLASSES, 1), nn.ReLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(self.body(x))).flatten(2).mean(2)


@every_rank
def test_cam_of_a_convolution_before_the_pooling(ndim: int) -> None:
    net, x = build(ConvThenPool, ndim, True).double(), inputs(ndim).double()
    A = activations(net, "act", x)
    assert error(CAM(net, "act").explain(x, TARGETS).raw[0], A[range(2), TARGETS]) == 0
    linear = build(ConvThenPool, ndim, False).double()
    maps = activations(linear, "conv", x)[range(2), TARGETS]
    assert error(CAM(linear, "conv").explain(x, TARGETS).raw[0], maps) == 0
    bias = linear.conv.bias.detach().numpy()[TARGETS].reshape(2, *[1] * ndim)
    assert error(CAM(linear, "body").explain(x, TARGETS).raw[0], maps - bias) < 1e-12
    with pytest.raises(ValueError, match=r"layer 'body' into the network's output \(the nearest, 'conv', misses"):
        CAM(net, "body")(x)  # a ReLU lies between
    for kind, last in ((net, "act"), (linear, "body")):  # nearest to the pooling that can be; else the usual layer
        found = CAM(kind).explain(x, TARGETS)
        assert found.layers == (last,)
        assert error(found.raw[0], CAM(kind, last).explain(x, TARGETS).raw[0]) == 0


def test_cam_finds_the_layer_of_squeezenet() -> None:
    torch.manual_seed(0)
    net = torchvision.models.squeezenet1_0(weights=None).eval()
    x = torch.randn(1, 3, 96, 96)
    found = CAM(net).explain(x, 5)
    assert found.layers == ("classifier.2",)
    np.testing.assert_allclose(found.raw[0].mean((1, 2)), net(x)[:, 5].detach(), rtol=1e-4)


def test_cam_refuses_in_words() -> None:
    x = inputs()
    net = build(ConvNet)
    with pytest.raises(ValueError, match=r"from 5 channels to 3 outputs .*there is none of that size"):
        CAM(net, "conv2")(x)
    with pytest.raises(ValueError, match="one logit per class"):
        CAM(build(DictNet), "act3")(x, lambda output: output["logits"][0])
    with pytest.raises(ValueError, match="a probability"):
        CAM(net, "act3")(x, ClassifierOutputSoftmaxTarget(1))
    residual = build(ResidualNet)
    with pytest.raises(ValueError, match="nothing else"):
        CAM(residual, "norm")(x)


def test_cam_finds_its_layer_and_takes_a_difference_of_classes() -> None:
    net, x = build(ConvNet).double(), inputs().double()
    cam = CAM(net)
    one, two = (cam.explain(x, category, relu=False).raw[0] for category in (0, 2))
    both = cam.explain(x, lambda row: row[0] - 2 * row[2], relu=False)
    assert both.layers == ("act3",)
    assert error(both.raw[0], one - 2 * two) < 1e-12


@every_rank
def test_cam_keeps_the_laws(ndim: int) -> None:
    net, x = build(GapLinear, ndim), inputs(ndim, 3)
    net.train()
    with assert_unchanged(net, x):
        cam = CAM(net, "features")
        found = cam(x, [0, 1, 2])
    assert found.shape == (3, *SIZES[ndim])
    alone = [cam(image[None], category)[0] for category, image in enumerate(x)]
    np.testing.assert_allclose(np.stack(alone), found, atol=1e-5)
    for dtype in (torch.float16, torch.float64):
        np.testing.assert_allclose(CAM(net.to(dtype), "features")(x, [0, 1, 2]), found, atol=0.02)


# -- Smooth Grad-CAM++
@every_rank
def test_smooth_gradcamplusplus(ndim: int) -> None:
    net, x = double(ConvNet, ndim), inputs(ndim).double()
    once = SmoothGradCAMPlusPlus(net, "conv2", num_samples=1, noise_level=0).explain(x, TARGETS)
    assert error(once.raw[0], GradCAMPlusPlus(net, "conv2", epsilon=0).explain(x, TARGETS).raw[0]) < 1e-12
    got = SmoothGradCAMPlusPlus(net, "act2", num_samples=3, noise_level=0.3, seed=5).explain(x, TARGETS)
    generator = torch.Generator().manual_seed(5)
    spread = (x.amax(tuple(range(1, x.ndim)), True) - x.amin(tuple(range(1, x.ndim)), True)) * 0.3
    grads = [
        record(net, ["act2"], x + spread * torch.randn(x.shape[1:], generator=generator).double(), asked).G[0]
        for _ in range(3)
    ]
    D1, D2, D3 = (sum(G**power for G in grads) / 3 for power in (1, 2, 3))
    A, axes = activations(net, "act2", x), tuple(range(2, x.ndim))
    bottom = 2 * D2 + A.sum(axes, keepdims=True) * D3
    assert (bottom > 0.1 * D2)[D2 > 0].mean() > 0.5  # the guard is the exception
    alpha = np.divide(D2, np.maximum(bottom, 0.1 * D2), out=np.zeros_like(D2), where=D2 > 0)
    w = (alpha * np.maximum(D1, 0)).sum(axes)
    assert error(got.weights[0], w) < 1e-9
    assert error(got.raw[0], np.einsum("bc,bc...->b...", w, A)) < 1e-9


# -- ScoreCAM's relatives
def grown(channel: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Stretch a channel to a size, corners on corners, and to [0, 1]; a constant one is 0."""
    for axis, length in enumerate(size):
        old = np.arange(channel.shape[axis])
        new = np.linspace(0, channel.shape[axis] - 1, length)
        channel = np.apply_along_axis(lambda line, new=new, old=old: np.interp(new, old, line), axis, channel)
    spread = channel.max() - channel.min()
    return (channel - channel.min()) / spread if spread > 0 else 0 * channel


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def masked_weights(
    net: nn.Module, x: Tensor, layer: str, versions: Callable[[Tensor, Tensor], list[Tensor]]
) -> np.ndarray:
    """Softmax of the mean score over the versions of every mask, one image and one channel after the other."""
    weights = []
    for image, A, category in zip(x, activations(net, layer, x), TARGETS, strict=True):
        masks = [torch.from_numpy(grown(channel, tuple(image.shape[1:]))) for channel in A]
        with torch.no_grad():
            means = [np.mean([float(net(v[None])[0, category]) for v in versions(image, mask)]) for mask in masks]
        weights.append(softmax(np.array(means)))
    return np.array(weights)


@every_rank
def test_sscam(ndim: int) -> None:
    net, x = double(ConvNet, ndim), inputs(ndim).double()
    for place in ("mask", "input"):
        got = SSCAM(net, "conv2", num_samples=3, std=0.4, seed=7, noise_on=place, batch_size=4).explain(x, TARGETS)
        generator = torch.Generator().manual_seed(7)
        noises = torch.randn(3, 1 if place == "mask" else 2, *SIZES[ndim], generator=generator).double() * 0.4

        def versions(image: Tensor, mask: Tensor, place: str = place, noises: Tensor = noises) -> list[Tensor]:
            if place == "mask":
                return [image * (mask + noise) for noise in noises]
            return [image * mask + noise * (image.max() - image.min()) for noise in noises]

        assert error(got.weights[0], masked_weights(net, x, "conv2", versions)) < 1e-6
    clean = SSCAM(net, "conv2", num_samples=2, std=0).explain(x, TARGETS)
    assert error(clean.weights[0], ScoreCAM(net, "conv2").explain(x, TARGETS).weights[0]) < 1e-12


@every_rank
def test_iscam(ndim: int) -> None:
    net, x = double(ConvNet, ndim), inputs(ndim).double()

    def versions(image: Tensor, mask: Tensor) -> list[Tensor]:
        return [image * mask * share for share in (0.25, 0.5, 0.75, 1)]

    want = masked_weights(net, x, "conv2", versions)
    for batch_size in (1, 3, 64):
        got = ISCAM(net, "conv2", num_samples=4, batch_size=batch_size).explain(x, TARGETS)
        assert error(got.weights[0], want) < 1e-12
    once = ISCAM(net, "conv2", num_samples=1).explain(x, TARGETS)
    assert error(once.weights[0], ScoreCAM(net, "conv2").explain(x, TARGETS).weights[0]) < 1e-12


@every_rank
def test_gscorecam_leaves_the_other_channels_out_of_the_softmax(ndim: int) -> None:
    net, x = double(ConvNet, ndim), inputs(ndim).double()
    whole = ScoreCAM(net, "conv2").explain(x, TARGETS).weights[0].numpy()
    means = record(net, ["conv2"], x, asked).G[0].reshape(2, 5, -1).mean(2)
    got = GScoreCAM(net, "conv2", channels=2).explain(x, TARGETS).weights[0].numpy()
    for weights, all_weights, mean in zip(got, whole, means, strict=True):
        kept = np.argsort(mean)[-2:]
        want = np.zeros(5)
        want[kept] = all_weights[kept] / all_weights[kept].sum()  # a softmax over fewer is the softmax, rescaled
        assert error(weights, want) < 1e-12
    assert error(GScoreCAM(net, "conv2").explain(x, TARGETS).weights[0], whole) < 1e-12


def test_equal_masks_are_run_once() -> None:
    net, x, rows = build(ConvNet), inputs(batch=1), []
    with torch.no_grad():
        net.conv2.weight[1:4] = 0  # three channels that are constant
    net.register_forward_hook(lambda module, args, output: rows.append(len(args[0])))
    weights = ISCAM(net, "conv2", num_samples=5).explain(x, 0).weights[0][0]
    assert sum(rows) == 1 + 3 * 5
    assert weights[1] == weights[2] == weights[3]


# -- LayerCAM's fusion
@pytest.mark.parametrize("relu", [True, False])
def test_layercam_fuses_layers_by_tanh_and_maximum(relu: bool) -> None:
    net, x = double(ConvNet, 2, seed=2), inputs().double()
    got = LayerCAM(net, ["conv2", "act3"], fusion="max", gamma=3.0).explain(x, TARGETS, size=(6, 7), relu=relu)
    seen = record(net, ["conv2", "act3"], x, asked)
    for i in range(2):
        layers = []
        for A, G in zip(seen.A, seen.G, strict=True):
            raw = (np.maximum(G[i], 0) * A[i]).sum(0)
            raw = np.maximum(raw, 0) if relu else raw
            layers.append(np.tanh(3 * raw / np.abs(raw).max()))
        fused = np.maximum(*layers)
        fused = (fused - fused.min()) / np.ptp(fused) if relu else fused / np.abs(fused).max()
        assert error(got.maps[i], fused) < 1e-6
    mean = LayerCAM(net, ["conv2", "act3"])(x, TARGETS)
    assert error(LayerCAM(net, ["conv2", "act3"], fusion="mean")(x, TARGETS), mean) == 0
    with pytest.raises(ValueError, match="'mean' or 'max'"):
        LayerCAM(net, "conv2", fusion="sum")
    with pytest.raises(ValueError, match="must be positive"):
        LayerCAM(net, "conv2", gamma=0)


# -- Recipro-CAM
def masks_by_hand(size: tuple[int, ...], spread: bool) -> np.ndarray:
    """(n, *s): one place each, or the products of (1 2 1) / 4 along the axes, cut at the border."""
    masks = np.zeros((*size, *size))
    for place in np.ndindex(*size):
        for other in np.ndindex(*size):
            steps = np.abs(np.subtract(place, other))
            if spread and steps.max() <= 1:
                masks[place + other] = np.prod(np.where(steps == 0, 0.5, 0.25))
            elif not steps.any():
                masks[place + other] = 1
    return masks.reshape(-1, *size)


@every_rank
@pytest.mark.parametrize("spread", [False, True])
def test_reciprocam(ndim: int, spread: bool) -> None:
    net, x = double(ConvNet, ndim), inputs(ndim).double()
    got = ReciproCAM(net, "conv2", spread=spread, batch_size=5).explain(x, TARGETS)
    for i, A in enumerate(activations(net, "conv2", x)):
        masks = masks_by_hand(A.shape[1:], spread)
        lit = torch.from_numpy(A * masks[:, None])
        scores = replaced(net, "conv2", x[:1].expand(len(masks), *x.shape[1:]), lit)[:, TARGETS[i]]
        assert error(got.raw[0][i].flatten(), scores) < 1e-10
        flat = got.raw[0][i]
    assert got.maps.amin() == 0
    assert got.maps.amax() <= 1
    assert flat.shape == A.shape[1:]


@every_rank
def test_reciprocam_of_a_pooled_linear_head_is_cam(ndim: int) -> None:
    net, x = double(GapLinear, ndim), inputs(ndim).double()
    cam = CAM(net, "features").explain(x, TARGETS).raw[0]
    bias = net.head.bias.detach()[TARGETS].reshape(2, *[1] * ndim)
    want = cam / cam[0].numel() + bias
    assert error(ReciproCAM(net, "features").explain(x, TARGETS).raw[0], want) < 1e-12


def test_negative_scores_do_not_blank_a_recipro_map() -> None:
    net, x = build(ConvNet), inputs()
    want = ReciproCAM(net, "conv2")(x, TARGETS)
    with torch.no_grad():
        net.head.bias -= 100
    got = ReciproCAM(net, "conv2").explain(x, TARGETS)
    assert got.notes == ((), ())
    np.testing.assert_allclose(got.numpy(), want, atol=1e-3)


@pytest.mark.parametrize("spread", [False, True])
def test_vit_reciprocam_masks_the_shortcut_too(spread: bool) -> None:
    net, x = build(TinyViT).double(), inputs(size=TinyViT.size).double()
    got = ViTReciproCAM(net, spread=spread).explain(x, TARGETS)
    given = ViTReciproCAM(net, net.blocks[1].norm1, tokens_to_grid, spread=spread).explain(x, TARGETS)
    assert got.layers == given.layers == ("blocks.1.norm1",)
    assert torch.equal(got.raw[0], given.raw[0])
    block = net.blocks[1]
    with torch.no_grad():
        tokens = net.patches(x).flatten(2).transpose(1, 2)
        tokens = net.blocks[0](torch.cat([net.class_token.expand(2, -1, -1), tokens], 1) + net.position)
        for i in range(2):
            scores = []
            for mask in masks_by_hand(TinyViT.grid, spread).reshape(-1, 15):
                factor = torch.tensor([1, *mask], dtype=torch.float64)[:, None]  # the class token stays
                z = block.norm1(tokens[i]) * factor
                q, k, v = block.qkv(z).chunk(3, dim=-1)
                mixed = (q @ k.T / q.shape[-1] ** 0.5).softmax(-1) @ v
                out = tokens[i] * factor + block.out(mixed)
                out = out + block.mlp(block.norm2(out))
                scores.append(float(net.head(net.norm(out)[0])[TARGETS[i]]))
            assert error(got.raw[0][i].flatten(), scores) < 1e-10


def test_vit_reciprocam_refuses_other_layers() -> None:
    net, x = build(TinyViT), inputs(size=TinyViT.size)
    with pytest.raises(ValueError, match="not the norm at the beginning of a block"):
        ViTReciproCAM(net, net.norm)(x)
    with pytest.raises(ValueError, match="no attention at all"):
        ViTReciproCAM(build(ConvNet))(inputs())


# -- Opti-CAM
@every_rank
def test_opticam_is_the_best_mask_of_adams_way(ndim: int) -> None:
    net, x = frozen(double(ConvNet, ndim)), inputs(ndim).double()
    got = OptiCAM(net, "conv2", steps=12, rate=0.2).explain(x, TARGETS)
    for i, A in enumerate(torch.from_numpy(activations(net, "conv2", x))):
        u = torch.zeros(len(A), dtype=torch.float64, requires_grad=True)
        adam, seen = torch.optim.Adam([u], lr=0.2, eps=0), []
        for _ in range(12):
            raw = torch.einsum("k,k...->...", u.softmax(0), A.relu())
            mode = ("linear", "bilinear", "trilinear")[ndim - 1]
            mask = nn.functional.interpolate(raw[None, None], x.shape[2:], mode=mode)
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            score = net(x[i : i + 1] * mask)[0, TARGETS[i]]
            seen.append((score.item(), raw.detach()))
            u.grad = -torch.autograd.grad(score, u)[0]
            adam.step()
        best = max(seen, key=lambda each: each[0])
        assert best[0] > seen[0][0]
        # But for a factor, which channels without influence have a say in, and up to the epsilon.
        maps = [(raw - raw.min()) / (raw.max() - raw.min()) for raw in (got.raw[0][i], best[1])]
        assert error(*maps) < 1e-3


def test_opticam_of_tiny_scores_and_of_constant_maps() -> None:
    class Tiny(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) * 1e-30

    net, x = build(ConvNet), inputs()
    want = OptiCAM(net, "conv2", steps=5)(x, TARGETS)
    np.testing.assert_allclose(OptiCAM(Tiny(net), "net.conv2", steps=5)(x, TARGETS), want, atol=1e-4)
    with torch.no_grad():
        net.conv2.weight.zero_()
    got = OptiCAM(net, "conv2", steps=5).explain(x, TARGETS)
    assert got.raw[0].isfinite().all()
    assert not got.maps.any()
    assert all(got.notes)


def test_opticam_needs_a_graph() -> None:
    class Cut(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.detach())

    with pytest.raises(RuntimeError, match="needs the gradient of the target by the input"):
        OptiCAM(build(Cut), "conv2", steps=1)(inputs(), 0)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (SmoothGradCAMPlusPlus, {"num_samples": 0}),
        (SmoothGradCAMPlusPlus, {"noise_level": -1}),
        (SSCAM, {"num_samples": 0}),
        (SSCAM, {"std": -1}),
        (SSCAM, {"noise_on": "both"}),
        (ISCAM, {"num_samples": 0}),
        (GScoreCAM, {"channels": 0}),
        (OptiCAM, {"steps": 0}),
        (OptiCAM, {"rate": 0}),
    ],
)
def test_options_that_cannot_be(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        kind(build(ConvNet), "conv2", **options)
