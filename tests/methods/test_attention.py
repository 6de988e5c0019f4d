# ruff: noqa: N806 - P and R are the names of the literature
"""The methods that are made of attention matrices: their definitions, and the laws of all methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import again
from helpers.failures import BrokenError, raising
from helpers.tiny_nets import TinyViT, build, frozen, inputs
from helpers.unchanged_model import assert_unchanged
from helpers.vision_transformers import pictures, torchvision_vit
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam import AttentionRelevance, AttentionRollout, LeGrad
from pytorch_grad_cam.engine.attention import record_attentions
from pytorch_grad_cam.methods import METHODS

NEEDS_ATTENTION = {name: method for name, method in METHODS.items() if method.needs == "attention"}
every_method = pytest.mark.parametrize("method", NEEDS_ATTENTION.values(), ids=NEEDS_ATTENTION)
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
TARGETS = [0, 2]


def error(got: Any, want: Any) -> float:
    got, want = (np.asarray(torch.as_tensor(each).detach(), dtype=np.float64) for each in (got, want))
    assert got.shape == want.shape
    assert np.isfinite(got).all()
    return float(np.abs(got - want).max() / (np.abs(want).max() or 1.0))


def attended(net: TinyViT, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The forward pass of TinyViT once more: outputs, the matrix of each block, its tokens; all in one graph."""
    tokens = net.patches(x).flatten(2).transpose(1, 2)
    tokens = torch.cat([net.class_token.expand(len(x), -1, -1), tokens], dim=1) + net.position
    matrices, after = [], []
    for block in net.blocks:
        q, k, v = block.qkv(block.norm1(tokens)).chunk(3, dim=-1)
        matrices.append((q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(dim=-1))
        tokens = tokens + block.out(matrices[-1] @ v)
        tokens = tokens + block.mlp(block.norm2(tokens))
        after.append(tokens)
    return net.head(net.norm(tokens)[:, 0]), matrices, after


# -- the methods against their definitions
@pytest.fixture
def vit() -> TinyViT:
    return build(TinyViT, seed=1).double()


@pytest.fixture
def x() -> Tensor:
    return inputs(size=TinyViT.size).double()


def on_grid(rows: Any) -> np.ndarray:
    return np.asarray(rows, dtype=np.float64)[:, 1:].reshape(-1, *TinyViT.grid)


def test_rollout(vit: TinyViT, x: Tensor) -> None:
    _, matrices, _ = attended(vit, x)
    R = np.eye(16)
    for P in matrices:
        mixed = P.detach().numpy() + np.eye(16)
        R = mixed / mixed.sum(-1, keepdims=True) @ R
    got = AttentionRollout(vit).explain(x)
    assert error(got.raw[0], on_grid(R[:, 0])) < 1e-12
    assert got.scores is None
    assert got.classes == (None, None)


def test_relevance(vit: TinyViT, x: Tensor) -> None:
    outputs, matrices, _ = attended(vit, x)
    grads = torch.autograd.grad(outputs[range(2), TARGETS].sum(), matrices)
    R = np.tile(np.eye(16), (2, 1, 1))
    for P, G in zip(matrices, grads, strict=True):
        R = R + np.maximum(G.numpy() * P.detach().numpy(), 0) @ R
    got = AttentionRelevance(vit).explain(x, TARGETS)
    assert error(got.raw[0], on_grid(R[:, 0])) < 1e-12
    assert error(got.scores, outputs[range(2), TARGETS]) < 1e-12


@pytest.mark.parametrize("blocks", [1, 2, None])
def test_legrad(vit: TinyViT, x: Tensor, blocks: int | None) -> None:
    _, matrices, after = attended(vit, x)
    want = []
    for P, Z in zip(matrices, after, strict=True):
        scores = vit.head(vit.norm(Z.mean(1)))[range(2), TARGETS]
        (G,) = torch.autograd.grad(scores.sum(), P, retain_graph=True)
        want.append(on_grid(np.maximum(G.numpy(), 0).mean(1)))
    want = want[-(blocks or 2) :]
    got = LeGrad(vit, blocks=blocks).explain(x, TARGETS, size=TinyViT.grid)
    assert len(got.raw) == len(want)
    for raw, each in zip(got.raw, want, strict=True):
        assert error(raw, each) < 1e-12
    for map, whole in zip(got.maps, sum(want), strict=True):
        spread = np.ptp(whole) or np.inf
        assert error(map, (whole - whole.min()) / spread) < 1e-6


def test_several_heads_are_averaged_after_clipping() -> None:
    """Against nn.MultiheadAttention, whose matrices a hook cannot give a gradient: by differences."""
    net, x = torchvision_vit(num_layers=1).double(), pictures(32, 32, batch=1).double()
    leaf = x.clone().requires_grad_()
    outputs, (attention,) = record_attentions(net, lambda: net(leaf), 1)
    (G,) = torch.autograd.grad(outputs[0, 1], attention.matrix)
    P = attention.matrix.detach().numpy()
    want = np.maximum(G.numpy() * P, 0).mean(1)[:, 0, 1:].reshape(1, 4, 4)
    assert error(AttentionRelevance(net).explain(x, 1).raw[0], want) < 1e-10
    # The gradient itself: change one entry of one head and see what the network makes of it.
    block = net.encoder.layers[0]
    with torch.no_grad():
        tokens = torch.cat([net.class_token, net._process_input(x)], 1) + net.encoder.pos_embedding
        normed, weights = block.ln_1(tokens), block.self_attention.in_proj_weight.chunk(3)[2]
        V = (
            F.linear(normed, weights, block.self_attention.in_proj_bias.chunk(3)[2])
            .reshape(1, 17, 4, 4)
            .transpose(1, 2)
        )

        def score(matrix: Tensor) -> float:
            mixed = block.self_attention.out_proj((matrix @ V).transpose(1, 2).flatten(2)) + tokens
            mixed = mixed + block.mlp(block.ln_2(mixed))
            return float(net.heads(net.encoder.ln(mixed)[:, 0])[0, 1])

        for head, key in ((0, 3), (2, 11)):
            step = torch.zeros(1, 4, 17, 17, dtype=torch.float64)
            step[0, head, 0, key] = 1e-5
            slope = (score(attention.matrix + step) - score(attention.matrix - step)) / 2e-5
            assert abs(slope - float(G[0, head, 0, key])) < 1e-6 * float(G.abs().max())


class MeanPooled(TinyViT):
    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)[:, 1:].mean(1))


def test_a_head_that_averages_patches_is_seen(x: Tensor) -> None:
    net = build(MeanPooled, seed=1).double()
    _, matrices, _ = attended(net, x)
    R = np.eye(16)
    for P in matrices:
        R = (P.detach().numpy() + np.eye(16)) / 2 @ R
    assert error(AttentionRollout(net).explain(x).raw[0], on_grid(R[:, 1:].mean(1))) < 1e-12


class Doubled(TinyViT):
    """What follows the last block also reads the input: such a head cannot be run alone on other tokens."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1) + self.position
        for block in self.blocks:
            tokens = tokens + block(tokens)
        return self.head(self.norm(tokens)[:, 0])


def test_legrad_refuses_a_head_it_cannot_run(x: Tensor) -> None:
    net = build(Doubled, seed=1).double()
    with pytest.raises(ValueError, match=r"what follows block 'blocks.1' cannot be run alone"):
        LeGrad(net)(x)
    with pytest.raises(ValueError, match="blocks=0"):
        LeGrad(net, blocks=0)


# -- laws
@pytest.mark.again
@every_method
def test_shape_range_repetition_and_batch(method: Any) -> None:
    net, x = build(TinyViT, seed=1), inputs(size=TinyViT.size, batch=3)
    cam = method.load()(net)
    found = cam(x, [0, 1, 2])
    assert found.shape == (3, *TinyViT.size)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    np.testing.assert_array_equal(cam(x, [0, 1, 2]), found)
    for options in ({}, {"aug_smooth": True}, {"eigen_smooth": True}, {"relu": False}):
        alone = [cam(image[None], category, **options)[0] for category, image in enumerate(x)]
        np.testing.assert_allclose(cam(x, [0, 1, 2], **options), np.stack(alone), atol=1e-4)
    np.testing.assert_array_equal(cam(x, lambda row: row[1]), cam(x, 1))
    np.testing.assert_array_equal(method.load()(frozen(net))(x, 1), cam(x, 1))


@every_method
def test_precision_of_the_network(method: Any) -> None:
    net, x = build(TinyViT, seed=1), inputs(size=TinyViT.size)
    expected = method.load()(net)(x, 1)
    np.testing.assert_allclose(method.load()(net.double())(x, 1), expected, atol=1e-4)
    np.testing.assert_allclose(method.load()(net.half())(x, 1), expected, atol=0.25)


@every_method
@pytest.mark.parametrize("mode", [torch.inference_mode, *again(torch.no_grad, torch.enable_grad)])
def test_a_call_changes_nothing(method: Any, mode: Any) -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    net.train()
    net.encoder.ln.eval()
    expected = method.load()(net)(x, 1)
    with mode(), assert_unchanged(net, x):
        np.testing.assert_array_equal(method.load()(net)(x, 1), expected)


@pytest.mark.parametrize(
    ("method", "where"),
    [
        pytest.param(method, where, id=f"{name}-{where}")
        for name, method in NEEDS_ATTENTION.items()
        for where in ("target", "head", "block")
        if where != "target" or method.load().uses_targets
    ],
)
def test_a_failure_changes_nothing(method: Any, where: str) -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    broken = {"head": net.heads, "block": net.encoder.layers[1].ln_2}.get(where)
    handle = None if broken is None else broken.register_forward_pre_hook(raising(BrokenError()))
    cam = method.load()(net)
    with assert_unchanged(net, x), pytest.raises(BrokenError):
        cam(x, raising(BrokenError()) if where == "target" else None)
    if handle is not None:
        handle.remove()
        assert cam(x, 1).shape == (2, 32, 32)


def test_a_head_that_reads_nothing_gives_a_blank_map_that_says_so() -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    nn.init.zeros_(net.heads.head.weight)
    for method in NEEDS_ATTENTION.values():
        found = method.load()(net).explain(x, 1)
        assert not found.maps.any()
        assert all(found.notes)


def test_the_cifar_vit(shared: Any) -> None:
    """Trained: what rollout, relevance and LeGrad show differs between classes where it should."""
    from torchvision.models.vision_transformer import ConvStemConfig, VisionTransformer

    stem = [ConvStemConfig(32, 3, 1), ConvStemConfig(64, 3, 2), ConvStemConfig(96, 3, 2)]
    net = VisionTransformer(32, 4, 6, 3, 96, 192, num_classes=10, conv_stem_configs=stem).eval()
    net.load_state_dict(torch.load(shared / "data/models/vit_cifar10.pth", weights_only=True))
    images = torch.from_numpy(np.load(shared / "data/cifar10_test_500.npz")["images"][:4]).movedim(-1, 1) / 255
    x = (images - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
        :, None, None
    ]
    for method in NEEDS_ATTENTION.values():
        one, two = (method.load()(net).explain(x, category) for category in (3, 8))
        assert one.raw[0].shape == (4, 8, 8)
        assert torch.equal(one.raw[0], two.raw[0]) == (not method.load().uses_targets)
