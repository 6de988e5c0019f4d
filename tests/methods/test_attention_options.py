# ruff: noqa: N803, N806 - P and R are the names of the literature
"""Rollout's fusions and discarded entries, and the attention of single heads, against float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.tiny_nets import ConvNet, TinyViT, build, inputs
from helpers.vision_transformers import pictures, timm_vit, torchvision_vit
from torch import Tensor, nn

from pytorch_grad_cam import AttentionRollout
from pytorch_grad_cam.engine.attention import record_attentions

FUSE = {"mean": np.mean, "max": np.max, "min": np.min}


def matrices(net: nn.Module, x: Tensor) -> list[np.ndarray]:
    """(B, heads, N, N) per block; `record_attentions` itself is held against hand-made attention elsewhere."""
    return [each.matrix.detach().double().numpy() for each in record_attentions(net, lambda: net(x), len(x))[1]]


def rolled_out(P: list[np.ndarray], fusion: str, share: float) -> np.ndarray:
    """R of each image, (B, N, N): block by block, image by image, with whole products."""
    results = []
    for image in range(len(P[0])):
        R = np.eye(P[0].shape[-1])
        for block in P:
            M = FUSE[fusion](block[image], axis=0)
            M[np.unravel_index(np.argsort(M, axis=None)[: int(share * M.size)], M.shape)] = 0
            sums = M.sum(1, keepdims=True)
            M = M / np.where(sums > 0, sums, 1)
            R = (M + np.eye(len(M))) / 2 @ R
        results.append(R)
    return np.stack(results)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("fusion", FUSE)
def test_rollout_by_numpy(fusion: str, share: float) -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    (raw,) = AttentionRollout(net, head_fusion=fusion, discard_ratio=share).explain(x).raw
    want = rolled_out(matrices(net, x), fusion, share)[:, 0, 1:].reshape(2, 4, 4)
    assert np.abs(raw.double().numpy() - want).max() < 1e-6
    assert want.std() > 1e-4


def test_the_defaults_are_those_of_the_paper() -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    given = AttentionRollout(net, head_fusion="mean", discard_ratio=0)
    assert torch.equal(AttentionRollout(net).explain(x).maps, given.explain(x).maps)


def test_each_head_of_each_block() -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    found = AttentionRollout(net).head_maps(x)
    assert list(found) == [f"encoder.layers.encoder_layer_{index}" for index in range(3)]
    for maps, P in zip(found.values(), matrices(net, x), strict=True):
        assert np.abs(maps.double().numpy() - P[:, :, 0, 1:].reshape(2, 4, 4, 4)).max() < 1e-6
        assert not maps.requires_grad


def test_heads_of_a_network_that_averages_tokens() -> None:
    net, x = timm_vit(class_token=False, global_pool="avg"), pictures(32, 48)
    for maps, P in zip(AttentionRollout(net).head_maps(x).values(), matrices(net, x), strict=True):
        assert np.abs(maps.double().numpy() - P.mean(2).reshape(2, 3, 2, 3)).max() < 1e-6
        assert np.allclose(maps.sum((2, 3)), 1, atol=1e-5)


def test_one_head_and_a_grid_that_is_not_square() -> None:
    net, x = build(TinyViT, seed=1), inputs(size=TinyViT.size)
    assert [maps.shape for maps in AttentionRollout(net).head_maps(x).values()] == [(2, 1, 3, 5)] * 2


def test_refused_in_words() -> None:
    net, x = torchvision_vit(), pictures(32, 32)
    with pytest.raises(ValueError, match="head_fusion='median' is unknown; choose one of mean, max, min"):
        AttentionRollout(net, head_fusion="median")
    with pytest.raises(ValueError, match=r"discard_ratio=1\.0 must be a share from 0 to below 1"):
        AttentionRollout(net, discard_ratio=1.0)
    cam = AttentionRollout(net)
    cam.discard_ratio = -0.1
    with pytest.raises(ValueError, match=r"discard_ratio=-0\.1"):
        cam(x)
    with pytest.raises(ValueError, match="attention over all tokens"):
        AttentionRollout(build(ConvNet)).head_maps(inputs())
