# ruff: noqa: N803, N806 - A, G, K and W are the names of the literature
"""FEM, KPCA-CAM, SegEigenCAM and ShapleyCAM against their definitions in float64 NumPy.

A and G come from an ordinary autograd pass over a float64 copy of the network (`independent_gradients.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import oracles
from helpers.again import again
from helpers.independent_gradients import record
from helpers.shortcuts import MEANINGLESS, close
from helpers.tiny_nets import (
    CLASSES,
    SIZES,
    ConvNet,
    GapLinear,
    ResidualNet,
    TinyViT,
    build,
    frozen,
    inputs,
    tokens_to_grid,
)
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pytorch_grad_cam import (
    FEM,
    KPCA_CAM,
    EigenCAM,
    GradCAM,
    SegEigenCAM,
    ShapleyCAM,
)
from pytorch_grad_cam.engine import kernel_pca
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget

Array = NDArray[np.float64]
pytestmark = pytest.mark.filterwarnings(f"ignore:.*{MEANINGLESS}")
ranks = pytest.mark.parametrize("ndim", SIZES)


def first_score(outputs: Tensor) -> Tensor:
    return outputs[:, 0]


def check(got: Any, raws: list[list[Array]], size: Any, tolerance: float = 1e-4) -> None:
    """Raw maps and pictures."""
    for i, layers in enumerate(raws):
        for raw, want in zip(got.raw, layers, strict=True):
            assert raw[i].shape == want.shape
            assert np.abs(raw[i].numpy() - want).max() <= tolerance * (np.abs(want).max() or 1)
        assert np.abs(got.maps[i].numpy() - oracles.picture(layers, size)).max() <= tolerance


# -- methods that look at the activations --------------------------------------------------------------------
def fem(A: Array, k: float) -> Array:
    total = np.zeros(A.shape[1:])
    for channel in A:
        rare = channel > channel.mean() + k * np.sqrt(((channel - channel.mean()) ** 2).mean())
        total += channel.mean() * rare
    return total


@ranks
@pytest.mark.parametrize("k", [2, 0.5])
def test_fem(ndim: int, k: float) -> None:
    net, x = build(ConvNet, ndim, seed=2), inputs(ndim, 3)
    seen = record(net.double(), ["act1", "conv2"], x.double(), first_score)
    got = FEM(build(ConvNet, ndim, seed=2), ["act1", "conv2"], k=k).explain(x)
    check(got, [[fem(A[i], k) for A in seen.A] for i in range(3)], SIZES[ndim])


def kernel_of(name: str, u: Array, v: Array, gamma: float) -> float:
    if name == "linear":
        return u @ v
    if name == "poly":
        return (gamma * (u @ v) + 1) ** 3
    if name == "rbf":
        return np.exp(-gamma * ((u - v) ** 2).sum())
    if name == "sigmoid":
        return np.tanh(gamma * (u @ v) + 1)
    return u @ v / np.sqrt((u @ u) * (v @ v))


def kernel_component(A: Array, name: str, gamma: float) -> Array:
    rows = A.reshape(len(A), -1).T
    rows = rows - rows.mean(0)
    n = len(rows)
    K = np.array([[kernel_of(name, u, v, gamma) for v in rows] for u in rows])
    H = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(H @ K @ H)
    assert values[-1] > 1.001 * values[-2], "not unique: change the seed"
    score = np.sqrt(values[-1]) * vectors[:, -1]
    return (score * np.sign(score @ rows.sum(1))).reshape(A.shape[1:])


@pytest.mark.parametrize("ndim", [2, *again(1, 3)])
@pytest.mark.parametrize("kernel", kernel_pca.KERNELS)
@pytest.mark.parametrize("gamma", [None, 0.7])
def test_kpca(ndim: int, kernel: str, gamma: float | None) -> None:
    net, x = build(ConvNet, ndim, seed=1), inputs(ndim, 2)
    seen = record(net.double(), ["conv2"], x.double(), first_score)
    got = KPCA_CAM(build(ConvNet, ndim, seed=1), "conv2", kernel=kernel, gamma=gamma).explain(x)
    want = [[kernel_component(A, kernel, gamma or 1 / len(A))] for A in seen.A[0]]
    check(got, want, SIZES[ndim])


def test_a_linear_kernel_is_eigencam() -> None:
    net, x = build(ConvNet, seed=1), inputs()
    close(KPCA_CAM(net, "act1", kernel="linear").explain(x).raw[0], EigenCAM(net, "act1").explain(x).raw[0])


@pytest.mark.parametrize("kernel", kernel_pca.KERNELS)
def test_one_eigenvector_of_many_positions_is_that_of_all(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = inputs(2, 2, size=(15, 17))
    want = kernel_pca.kernel_projection(values, kernel)
    monkeypatch.setattr(kernel_pca, "MAX_DENSE_POSITIONS", 1)
    close(kernel_pca.kernel_projection(values, kernel), want, 1e-6)
    assert kernel_pca.kernel_projection(torch.ones(1, 3, 9, 9), kernel).abs().max() == 0


@pytest.mark.parametrize("covered", [0.1, 0.5, 0.9])
def test_planted_objects_stay_bright(covered: float) -> None:
    """The largest-entry rule turns the map around when the object covers most of it."""
    generator = torch.Generator().manual_seed(0)
    there = torch.arange(10) < 10 * covered
    for _ in range(10):
        A = torch.rand(1, 6, 10, 10, generator=generator) * 0.2 + torch.rand(6, 1, 1, generator=generator) * there
        for found in (
            kernel_pca.kernel_projection(A)[0],
            SegEigenCAM.get_cam_image(*[None] * 4, A, torch.ones_like(A))[0],  # type: ignore[misc]
        ):
            assert found[:, there].mean() > found[:, ~there].mean()


def test_a_kernel_that_is_none_and_a_layer_that_is_too_large() -> None:
    net = build(ConvNet)
    with pytest.raises(ValueError, match=r"kernel='precomputed' is unknown; choose one of 'linear'"):
        KPCA_CAM(net, "conv2", kernel="precomputed")
    with pytest.raises(ValueError, match=r"40000 positions.*deeper layer"):
        kernel_pca.kernel_projection(torch.zeros(1, 2, 200, 200))


@ranks
def test_segeigencam(ndim: int) -> None:
    net, x = build(ConvNet, ndim, seed=1), inputs(ndim, 3)
    seen = record(net.double(), ["conv1", "act2"], x.double(), first_score)
    got = SegEigenCAM(build(ConvNet, ndim, seed=1), ["conv1", "act2"]).explain(x, 0)
    pairs = list(zip(seen.A, seen.G, strict=True))
    want = [[oracles.principal_component(np.abs(G[i]) * A[i])[0] for A, G in pairs] for i in range(3)]
    check(got, want, SIZES[ndim])


# -- ShapleyCAM ----------------------------------------------------------------------------------------------
def rest(category: int) -> Any:
    def score(outputs: Tensor) -> Tensor:
        return outputs[:, category] + outputs[:, category] - outputs.exp().sum(1).log()

    return score


def energy(outputs: Tensor) -> Tensor:
    return outputs.square().sum(-1)


def halfway(net: nn.Module, layer: str, x: Tensor, score: Any, reshape: Any = None) -> tuple[Array, Array]:
    """A, and G - H A / 2 with H A by central differences of the gradient along A: no second backward pass."""
    step, found = 1e-4, {}
    for factor in (1 - step, 1.0, 1 + step):
        handle = net.get_submodule(layer).register_forward_hook(lambda _m, _a, output, f=factor: output * f)
        found[factor] = record(net, [layer], x, score, reshape=reshape)
        handle.remove()
    low, here, high = (each.G[0] for each in found.values())
    return found[1.0].A[0], here - (high - low) / (2 * step) / 2


@pytest.mark.parametrize("ndim", [2, *again(1, 3)])
@pytest.mark.parametrize("kind", [ConvNet, ResidualNet])
@pytest.mark.parametrize(("target", "score"), [(1, rest(1)), (energy, energy)], ids=["rest", "energy"])
def test_shapleycam(ndim: int, kind: Any, target: Any, score: Any) -> None:
    layers = ["act1", "act2"] if kind is ConvNet else ["norm", "tail"]
    x, double = inputs(ndim, 2), build(kind, ndim, seed=1).double()
    for net in (build(kind, ndim, seed=1), frozen(build(kind, ndim, seed=1))):
        got = ShapleyCAM(net, layers).explain(x, target)
        raws: list[list[Array]] = [[], []]
        for layer, weights in zip(layers, got.weights, strict=True):
            A, slope = halfway(double, layer, x.double(), score)
            want = slope.reshape(*slope.shape[:2], -1).mean(2)
            close(weights, torch.from_numpy(want), 1e-4)
            for i in range(2):
                raws[i].append(np.tensordot(want[i], A[i], 1))
        check(got, raws, SIZES[ndim])


def test_shapleycam_of_tokens() -> None:
    net, x = build(TinyViT, seed=3), inputs(2, 2, size=TinyViT.size)
    layers = ["blocks.0.norm1", "blocks.1.norm1"]
    got = ShapleyCAM(net, layers, tokens_to_grid).explain(x, 2)
    for layer, weights in zip(layers, got.weights, strict=True):
        _, slope = halfway(build(TinyViT, seed=3).double(), layer, x.double(), rest(2), tokens_to_grid)
        close(weights, torch.from_numpy(slope.mean((2, 3))), 1e-4)


class FusedAttention(nn.Module):
    """Tokens through torch's own attention, whose fast kernels cannot be differentiated twice."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(2, 8, 2, stride=2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        q = tokens.unflatten(2, (2, 4)).transpose(1, 2)
        fused = functional.scaled_dot_product_attention(q, q, q).transpose(1, 2).flatten(2)
        return self.head((fused + self.attention(tokens, tokens, tokens, need_weights=False)[0]).mean(1))


def test_shapleycam_through_fused_attention() -> None:
    net, x = build(FusedAttention), inputs(2, 2, size=(6, 10))
    got = ShapleyCAM(net, "patches").explain(x, 1)
    _, slope = halfway(build(FusedAttention).double(), "patches", x.double(), rest(1))
    close(got.weights[0], torch.from_numpy(slope.mean((2, 3))), 1e-4)


@pytest.mark.parametrize("signed", [False, True])
def test_shapleycam_of_a_pooled_linear_head(signed: bool) -> None:
    """n w = (2 e_c - pi) W + (pi (z - pi z)) W / 2 with z = W mean(A), for the score y_c + log softmax(y)_c."""
    net, x = build(GapLinear, signed=signed), inputs()
    with torch.no_grad():
        y, W = net(x), net.head.weight
        A = net.features(x).flatten(2)
        z, pi = A.mean(2) @ W.T, y.softmax(1)
        spread = pi * (z - (pi * z).sum(1, keepdim=True))
        want = ((2 * torch.eye(CLASSES)[1] - pi + spread / 2) @ W) / A.shape[2]
    close(ShapleyCAM(net, "features").explain(x, 1).weights[0], want)
    # A logit of a network that is piecewise linear has no second order: the weights are those of GradCAM.
    logit = ClassifierOutputTarget(1)
    close(ShapleyCAM(net, "features").explain(x, logit).weights[0], GradCAM(net, "features").explain(x, 1).weights[0])


def test_shapleycam_of_a_logit_is_gradcam() -> None:
    net, x = build(ConvNet), inputs()
    logit = ClassifierOutputTarget(2)
    close(ShapleyCAM(net, ["act1", "conv2"]).explain(x, logit).maps, GradCAM(net, ["act1", "conv2"]).explain(x, 2).maps)
