"""Attention matrices as they are captured, whoever computes them, and the grid of the tokens."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import CHANNELS, ConvNet, TinyViT, build, inputs
from helpers.unchanged_model import assert_same_state, state_of
from helpers.vision_transformers import pictures, timm_vit, torchvision_vit
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam import AttentionRelevance, AttentionRollout
from pytorch_grad_cam.engine.attention import first_norm_of_last_block, record_attentions
from pytorch_grad_cam.methods import METHODS

NEEDS_ATTENTION = {name: method for name, method in METHODS.items() if method.needs == "attention"}
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


@pytest.mark.parametrize("graph", [True, False])
def test_torchvisions_outputs_stay_and_its_matrices_are_attention(graph: bool) -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    before = state_of(net)
    with torch.set_grad_enabled(graph):
        expected = net(x)
        outputs, found = record_attentions(net, lambda: net(x), 2)
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


def test_torchvisions_vit_of_twelve_blocks() -> None:
    from torchvision.models import VisionTransformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = VisionTransformer(32, 16, 12, num_heads=3, hidden_dim=48, mlp_dim=96, num_classes=5).eval()
        nn.init.normal_(net.heads.head.weight)
    x = pictures(32, 32, batch=1)
    with torch.no_grad():
        expected = net(x)
        outputs, found = record_attentions(net, lambda: net(x), 1)
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
        outputs, found = record_attentions(net, lambda: net(x), 2)
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
        outputs, found = record_attentions(net, lambda: net(x), 2)
    torch.testing.assert_close(outputs, expected, atol=1e-5, rtol=1e-5)
    (attention,) = found
    assert attention.matrix.shape == (2, 2, 6, 6)
    torch.testing.assert_close(attention.matrix.sum(-1), torch.ones(2, 2, 6))


def test_an_explicit_result_that_differs_is_refused() -> None:
    net = Attending(Fused(), dropout_p=0.5)  # which the explicit path leaves out
    with pytest.raises(RuntimeError, match="differs from what the network computes"):
        record_attentions(net, lambda: net(torch.randn(2, 8, 6)), 2)


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


def test_a_grid_that_is_given() -> None:
    net, x = build(TinyViT), inputs(size=TinyViT.size)
    assert AttentionRollout(net, grid=(5, 3)).explain(x).raw[0].shape == (2, 5, 3)
    assert AttentionRollout(net, grid=(3, 4)).explain(x).raw[0].shape == (2, 3, 4)  # four tokens before the patches
    with pytest.raises(ValueError, match=r"grid=\(4, 5\) does not go with 16 tokens"):
        AttentionRollout(net, grid=(4, 5))(x)


def test_the_first_norm_of_the_last_block() -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    assert first_norm_of_last_block(net, lambda: net(x), 2) is net.encoder.layers[2].ln_1
