# ruff: noqa: N806 - A, G and W are the names of the literature
"""The oracles and the independent gradients held to other libraries, to differences, to paper; never to the package."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from helpers import oracles
from helpers.independent_gradients import difference_gradient, record
from helpers.tiny_nets import (
    SIZES,
    ConvNet,
    FlatLinear,
    GapLinear,
    InPlaceNet,
    ResidualNet,
    TinyViT,
    UNet,
    build,
    frozen,
    inputs,
    tokens_to_grid,
)
from torch import Tensor, nn
from torch.nn import functional as F

MODE = {1: "linear", 2: "bilinear", 3: "trilinear"}


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize(
    ("old", "new"),
    [((5,), (19,)), ((9,), (4,)), ((1,), (6,)), ((5, 7), (19, 33)), ((8, 3), (3, 8)), ((1, 1), (4, 5)),
     ((3, 4, 5), (7, 8, 11)), ((6, 5, 4), (3, 9, 4))],
)  # fmt: skip
def test_resize_is_torchs(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    m = rng().normal(size=old)
    want = F.interpolate(torch.from_numpy(m)[None, None], size=new, mode=MODE[len(old)], align_corners=False)
    np.testing.assert_allclose(oracles.resize(m, new), want[0, 0].numpy(), atol=1e-12)


@pytest.mark.parametrize(("old", "new"), [((5, 7), (19, 33)), ((4, 4), (8, 8)), ((9, 6), (13, 6))])
def test_resize_is_opencvs(old: tuple[int, int], new: tuple[int, int]) -> None:
    m = rng().normal(size=old)
    want = cv2.resize(m, new[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(oracles.resize(m, new), want, atol=1e-6)


def test_resize_by_hand() -> None:
    np.testing.assert_allclose(oracles.resize([0.0, 1.0], (4,)), [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(oracles.resize([0.0, 1.0, 2.0, 3.0], (2,)), [0.5, 2.5])


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("shape", [(3, 4, 5), (30, 2, 3), (4, 17), (6, 2, 3, 4)])
def test_component_is_the_top_eigenvector_of_the_gram_matrix(shape: tuple[int, ...], centred: bool) -> None:
    X = rng().normal(size=shape) + 0.3
    rows = X.reshape(len(X), -1)
    rows = rows - rows.mean(axis=1, keepdims=True) if centred else rows
    values, vectors = np.linalg.eigh(rows.T @ rows)  # positions x positions
    want = np.sqrt(values[-1]) * vectors[:, -1]
    want = want if want @ rows.sum(axis=0) >= 0 else -want
    got, margin = oracles.principal_component(X, centred)
    assert margin > 1e-3
    np.testing.assert_allclose(got.ravel(), want, atol=1e-9)


def test_component_of_a_constant_tensor_is_zero() -> None:
    assert not oracles.principal_component(np.full((3, 2, 2), 4.0))[0].any()


def test_powers_of_gradcamplusplus_cancel() -> None:
    """alpha relu(G) = relu(G) / (2 + S_k G), summed: the printed formula without its squares."""
    A, G = np.abs(rng().normal(size=(4, 3, 5))), rng().normal(size=(4, 3, 5))
    S = A.sum(axis=(1, 2), keepdims=True)
    want = (np.maximum(G, 0) / (2 + S * G)).sum(axis=(1, 2))
    np.testing.assert_allclose(oracles.gradcamplusplus_paper_weights(A, G), want, rtol=1e-12)
    tiny = (np.maximum(G, 0) * 1e-300 / 2).sum(axis=(1, 2))
    np.testing.assert_allclose(oracles.gradcamplusplus_paper_weights(A, G * 1e-300), tiny, rtol=1e-12)


def score(outputs: Tensor) -> Tensor:
    """(B,): not linear in the outputs, and fit for (B, M) and (B, M, *S)."""
    return torch.tanh(outputs[:, 1].reshape(len(outputs), -1)).sum(dim=1) + outputs.flatten(1)[:, 0]


@pytest.mark.parametrize(
    ("kind", "layer"),
    [(ConvNet, "conv2"), (ConvNet, "act1"), (InPlaceNet, "conv2"), (ResidualNet, "norm"), (UNet, "middle"),
     (UNet, "down"), (GapLinear, "features"), (FlatLinear, "features")],
)  # fmt: skip
@pytest.mark.parametrize("ndim", SIZES)
def test_recorded_gradient_is_the_slope(kind: type[nn.Module], layer: str, ndim: int) -> None:
    net, x = build(kind, ndim).double(), inputs(ndim, 1).double()
    for twin in (net, frozen(net)):
        got = record(twin, [layer], x, score).G[0][0]
        where, want = difference_gradient(net, layer, got.shape, x, score)
        assert np.abs(got.ravel()[where] - want).max() <= 1e-6 * np.abs(got).max()


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.1.norm1"])
def test_recorded_gradient_of_tokens_is_the_slope(layer: str) -> None:
    net, x = build(TinyViT).double(), inputs(2, 1, size=TinyViT.size).double()
    got = record(net, [layer], x, score).G[0]
    where, want = difference_gradient(net, layer, got.shape[1:], x, score)
    assert np.abs(got.ravel()[where] - want).max() <= 1e-6 * np.abs(got).max()
    grid = record(net, [layer], x, score, reshape=tokens_to_grid).G[0]
    np.testing.assert_array_equal(grid[0, :, 1, 2], got[0, 1 + 1 * TinyViT.grid[1] + 2])


def test_recorded_activations_survive_what_follows_in_place() -> None:
    """The in-place network and its plain twin compute the same, so they must record the same."""
    plain, inplace = build(ConvNet), build(InPlaceNet)
    a, b = (record(net, ["conv2"], inputs(), score) for net in (plain, inplace))
    assert (a.A[0] < 0).any()
    np.testing.assert_array_equal(a.A[0], b.A[0])
    np.testing.assert_array_equal(a.G[0], b.G[0])


def test_building_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = build(ConvNet), build(ConvNet), build(ConvNet, seed=1)
    inputs()
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.conv1.weight, again.conv1.weight)
    assert not torch.equal(first.conv1.weight, other.conv1.weight)
