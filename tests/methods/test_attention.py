# ruff: noqa: N806 - P and R are the names of the literature
"""Attention matrices as they are captured, and the methods that are made of them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from helpers.failures import BrokenError, raising
from helpers.tiny_nets import CHANNELS, CLASSES, ConvNet, TinyViT, build, frozen, inputs
from helpers.unchanged_model import assert_same_state, assert_unchanged, state_of
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam import AttentionRelevance, AttentionRollout, LeGrad
from pytorch_grad_cam.engine.attention import attentions_of, first_norm_of_last_block
from pytorch_grad_cam.methods import METHODS

NEEDS_ATTENTION = {name: method for name, method in METHODS.items() if method.needs == "attention"}
every_method = pytest.mark.parametrize("method", NEEDS_ATTENTION.values(), ids=NEEDS_ATTENTION)
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
TARGETS = [0, 2]


def torchvision_vit(**options: Any) -> nn.Module:
    """A vision transformer of torchvision (``nn.MultiheadAttention``), for 32 x 32 pixels in patches of 8."""
    from torchvision.models import VisionTransformer

    sizes = {"image_size": 32, "patch_size": 8, "num_layers": 3, "num_heads": 4, "hidden_dim": 16, "mlp_dim": 24}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = VisionTransformer(num_classes=CLASSES, **{**sizes, **options}).eval()
        nn.init.normal_(net.heads.head.weight)
    return net


def timm_vit(name: str = "vit_tiny_patch16_224", size: tuple[int, int] = (32, 48), **options: Any) -> nn.Module:
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net: nn.Module = timm.create_model(name, img_size=size, num_classes=CLASSES, depth=2, **options).eval()
    return net


def pictures(*size: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(3))


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


# -- capture
@pytest.mark.parametrize("graph", [True, False])
def test_torchvisions_outputs_stay_and_its_matrices_are_attention(graph: bool) -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    before = state_of(net)
    with torch.set_grad_enabled(graph):
        expected = net(x)
        outputs, found = attentions_of(net, lambda: net(x), 2)
    assert_same_state(before, state_of(net))
    torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=0)
    assert [each.name for each in found] == [f"encoder.layers.encoder_layer_{i}" for i in range(3)]
    for each, block in zip(found, net.encoder.layers, strict=True):
        assert each.matrix.shape == (2, 4, 17, 17)
        assert each.matrix.requires_grad == graph
        assert each.block is block
    # torch itself, asked for the weights of the first block
    seen: list[Tensor] = []
    handle = net.encoder.layers[0].ln_1.register_forward_hook(lambda module, args, output: seen.append(output))
    net(x)
    handle.remove()
    _, weights = net.encoder.layers[0].self_attention(seen[0], seen[0], seen[0], average_attn_weights=False)
    torch.testing.assert_close(found[0].matrix, weights, atol=1e-6, rtol=0)
    if graph:  # the matrix is on the way to the outputs, and the parameters' gradients are those of the plain pass
        assert torch.autograd.grad(outputs[:, 0].sum(), found[0].matrix, retain_graph=True)[0].any()
        weight = net.encoder.layers[0].mlp[0].weight
        (plain,), (through,) = (torch.autograd.grad(each[:, 0].sum(), weight) for each in (expected, outputs))
        torch.testing.assert_close(through, plain, atol=1e-5, rtol=1e-4)


def test_vit_b_16() -> None:
    from torchvision.models import vit_b_16

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = vit_b_16(weights=None, image_size=32, num_classes=5).eval()
        nn.init.normal_(net.heads.head.weight)
    x = pictures(32, 32, batch=1)
    with torch.no_grad():
        expected = net(x)
        outputs, found = attentions_of(net, lambda: net(x), 1)
    torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=1e-5)
    assert len(found) == 12
    assert AttentionRollout(net).explain(x).raw[0].shape == (1, 2, 2)


@pytest.mark.parametrize(
    "options", [{"reg_tokens": 4}, {"qk_norm": True}, {"class_token": False, "global_pool": "avg"}]
)
@pytest.mark.parametrize("fused", [True, False])
def test_timms_attention_fused_or_not(options: dict[str, Any], fused: bool) -> None:
    net, x = timm_vit(**options), pictures(32, 48)
    for block in net.blocks:
        block.attn.fused_attn = fused
    before = state_of(net)
    with torch.no_grad():
        expected = net(x)
        outputs, found = attentions_of(net, lambda: net(x), 2)
    torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=1e-5)
    assert_same_state(before, state_of(net))
    prefix = {"reg_tokens": 5, "qk_norm": 1, "class_token": 0}[next(iter(options))]
    assert [each.matrix.shape for each in found] == [(2, 3, prefix + 6, prefix + 6)] * 2
    for method in NEEDS_ATTENTION.values():
        assert method.load()(net).explain(x, 1).raw[0].shape == (2, 2, 3)


def test_fused_and_plain_attention_give_the_same_maps() -> None:
    net, x = timm_vit(reg_tokens=4), pictures(32, 48)
    maps = []
    for fused in (True, False):
        for block in net.blocks:
            block.attn.fused_attn = fused
        maps.append(np.stack([method.load()(net)(x, 1) for method in NEEDS_ATTENTION.values()]))
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-3)


class Attending(nn.Module):
    """A sequence of tokens through some attention; ``inner`` says how."""

    def __init__(self, inner: nn.Module, **how: Any) -> None:
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.transpose(1, 2)  # (B, N, C)
        if isinstance(self.inner, nn.MultiheadAttention):
            if not self.inner.batch_first:
                tokens = tokens.transpose(0, 1)
            return self.inner(tokens, tokens, tokens, **self.how)[0]
        return self.inner(tokens, **self.how)


class Fused(nn.Module):
    """``scaled_dot_product_attention`` with whatever it can take."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.qkv, self.groups = nn.Linear(8, 24), groups

    def forward(self, tokens: Tensor, **how: Any) -> Tensor:
        q, k, v = (each.unflatten(2, (2, 4)).transpose(1, 2) for each in self.qkv(tokens).chunk(3, -1))
        if self.groups > 1:
            k, v = k[:, :1], v[:, :1]
        return F.scaled_dot_product_attention(q, k, v, **how).transpose(1, 2).flatten(2)


MASK = torch.eye(6, dtype=torch.bool).roll(1, 0)
PADDING = torch.zeros(2, 6, dtype=torch.bool)
PADDING[1, 4:] = True


@pytest.mark.parametrize(
    ("inner", "how"),
    [
        (lambda: nn.MultiheadAttention(8, 2), {}),
        (lambda: nn.MultiheadAttention(8, 2, bias=False, batch_first=True), {"need_weights": False}),
        (lambda: nn.MultiheadAttention(8, 2, kdim=8, vdim=8, batch_first=True), {"attn_mask": MASK}),
        (lambda: nn.MultiheadAttention(8, 2, batch_first=True), {"attn_mask": MASK.repeat(4, 1, 1).float()}),
        (lambda: nn.MultiheadAttention(8, 2, batch_first=True), {"key_padding_mask": PADDING, "attn_mask": MASK}),
        (lambda: nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), {"src_key_padding_mask": PADDING}),
        (Fused, {}),
        (Fused, {"is_causal": True}),
        (Fused, {"attn_mask": ~MASK, "scale": 0.3}),
        (Fused, {"attn_mask": MASK.float()}),
        (lambda: Fused(2), {"enable_gqa": True}),
    ],
)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_every_way_to_attend(inner: Any, how: dict[str, Any], mode: Any) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Attending(inner(), **how).eval()
    x = torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(1))
    with mode():
        expected = net(x)
        outputs, found = attentions_of(net, lambda: net(x), 2)
    torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=1e-5)
    (attention,) = found
    assert attention.matrix.shape == (2, 2, 6, 6)
    torch.testing.assert_close(attention.matrix.sum(-1), torch.ones(2, 2, 6))


def test_an_explicit_result_that_differs_is_refused() -> None:
    net = Attending(Fused(), dropout_p=0.5)  # which the explicit path leaves out
    with pytest.raises(RuntimeError, match="differs from what the network computes"):
        attentions_of(net, lambda: net(torch.randn(2, 8, 6)), 2)


def test_a_network_without_such_attention_is_told_what_was_found() -> None:
    with pytest.raises(ValueError, match="ConvNet shows: no attention at all"):
        AttentionRollout(build(ConvNet))(inputs())

    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(CHANNELS, 1, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            rows = x.permute(0, 2, 3, 1).flatten(0, 1)  # each row of pixels by itself
            return self.attend(rows, rows, rows)[0].unflatten(0, (len(x), -1)).mean((1, 2))

    with pytest.raises(ValueError, match=r"Windows shows: attend: \(22, 1, 14, 14\)"):
        AttentionRelevance(build(Windows))(inputs())

    class Pyramid(nn.Module):
        """First every token attends to a quarter of the tokens, then to all: only the second can be seen through."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (nn.MultiheadAttention(CHANNELS, 1, batch_first=True) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(2).mT
            tokens = self.first(tokens, tokens[:, ::4], tokens[:, ::4])[0]
            return self.second(tokens, tokens, tokens)[0].mean(1)

    with pytest.raises(ValueError, match=r"Pyramid shows: first: \(2, 1, 154, 39\); second: \(2, 1, 154, 154\)"):
        AttentionRollout(build(Pyramid))(inputs())


def test_another_thread_sees_the_networks_own_attention() -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    with torch.no_grad():
        expected = net(x)
    wrong: list[str] = []
    done = threading.Event()

    def predict() -> None:
        with torch.no_grad():
            while not done.is_set():
                if not torch.equal(net(x), expected):
                    wrong.append("prediction")

    other = threading.Thread(target=predict)
    other.start()
    for _ in range(10):
        for method in NEEDS_ATTENTION.values():
            method.load()(net)(x, 1)
    done.set()
    other.join()
    assert not wrong


# -- tokens and their grid
def test_a_grid_that_is_given() -> None:
    net, x = build(TinyViT), inputs(size=TinyViT.size)
    assert AttentionRollout(net, grid=(5, 3)).explain(x).raw[0].shape == (2, 5, 3)
    assert AttentionRollout(net, grid=(3, 4)).explain(x).raw[0].shape == (2, 3, 4)  # four tokens before the patches
    with pytest.raises(ValueError, match=r"grid=\(4, 5\) does not go with 16 tokens"):
        AttentionRollout(net, grid=(4, 5))(x)


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
    outputs, (attention,) = attentions_of(net, lambda: net(leaf), 1)
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


def test_the_first_norm_of_the_last_block() -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    assert first_norm_of_last_block(net, lambda: net(x), 2) is net.encoder.layers[2].ln_1


# -- laws
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
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_a_call_changes_nothing(method: Any, mode: Any) -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    net.train()
    net.encoder.ln.eval()
    expected = method.load()(net)(x, 1)
    with mode(), assert_unchanged(net, x):
        np.testing.assert_array_equal(method.load()(net)(x, 1), expected)


@every_method
@pytest.mark.parametrize("where", ["target", "head", "block"])
def test_a_failure_changes_nothing(method: Any, where: str) -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    if where == "target" and not method.load().uses_targets:
        pytest.skip("the method asks nothing")
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
