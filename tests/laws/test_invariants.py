# ruff: noqa: N806 - A, G and W are the names of the literature
"""What must not change a map, and maps that mean nothing: laws that hold whatever the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import oracles
from helpers.again import again
from helpers.independent_gradients import record
from helpers.shortcuts import MEANINGLESS, METHODS, blank, close, explain, spread
from helpers.tiny_nets import CONV, ConvNet, GapLinear, build, inputs
from torch import Tensor, nn

import pytorch_grad_cam as package
from pytorch_grad_cam.engine.maps import principal_projection


class Rescored(nn.Module):
    """`net` with all of its scores times `factor` plus `offset`."""

    def __init__(self, net: nn.Module, factor: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.net, self.factor, self.offset = net, factor, offset

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * self.factor + self.offset


@pytest.mark.parametrize("factor", [1e-8, 1e-3, 4096.0])
@pytest.mark.parametrize("method", [name for name in METHODS if name != "gradcam++"])
@pytest.mark.parametrize("smooth", [False, True], ids=["sum", "eigen"])
def test_the_scale_of_the_scores_does_not_matter(method: str, factor: float, smooth: bool) -> None:
    net, x = build(ConvNet, seed=1), inputs()
    want = explain(method, net, "act2", x, 1, eigen_smooth=smooth).maps
    got = explain(method, Rescored(net, factor), "net.act2", x, 1, eigen_smooth=smooth).maps
    assert (want.flatten(1).amax(dim=1) == 1).all(), "blank maps prove nothing: change the seed"
    close(got, want, 1e-4)


@pytest.mark.parametrize("epsilon", [0, 1e-6])
def test_tiny_scores_bring_gradcamplusplus_to_its_limit(epsilon: float) -> None:
    """exp(s) sets a scale for GradCAM++: as s -> 0 the weights tend to sum_p relu(G) / 2, not to noise.

    With epsilon they tend to sum_p relu(G)^3 / epsilon.
    """
    net, x = build(ConvNet), inputs()
    G = explain("hirescam", net, "act2", x, 1).weights[0]
    got = package.GradCAMPlusPlus(Rescored(net, 1e-8), "net.act2", epsilon=epsilon).explain(x, 1)
    positive = G.relu().flatten(2).double()
    limit = (positive * 1e-8) ** 3 / epsilon if epsilon else positive * 1e-8 / 2
    close(got.weights[0], limit.sum(dim=2), 1e-4)
    again = package.GradCAMPlusPlus(Rescored(net, 1e-10), "net.act2", epsilon=epsilon).explain(x, 1)
    close(again.maps, got.maps, 1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["f32", "f16"])
@pytest.mark.parametrize("factor", [1e-3, 2.0, 1e3])
def test_gradcamplusplus_is_never_nan(dtype: torch.dtype, factor: float) -> None:
    """G^2 underflows in float16 below 1.7e-4: half precision is for networks, not for sums."""
    net, x = build(GapLinear, seed=3), inputs()
    net.head.weight.data *= factor
    net, x = net.to(dtype), x.to(dtype)
    with torch.no_grad():
        A, W = net.features(x).double(), net.head.weight[1].double()
    n = A[0, 0].numel()
    for epsilon in (0, 1e-6):
        got = package.GradCAMPlusPlus(net, "features", epsilon=epsilon).explain(x, 1)
        assert got.maps.isfinite().all()
        assert got.weights[0].isfinite().all()
        want = W.relu() / (2 + W * A.flatten(2).mean(dim=2) + epsilon * n**2 / W**2)
        close(got.weights[0], want, 0.01 if dtype == torch.float16 else 1e-5)


def first_score(outputs: Tensor) -> Tensor:
    return outputs[:, 0]


@pytest.mark.parametrize("smooth", [False, True], ids=["sum", "eigen"])
@pytest.mark.parametrize("method", [name for name in METHODS if name != "randomcam"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "f16"])
@pytest.mark.parametrize("factor", [1e-3, *again(1.0)])
def test_autocast_is_for_the_network(method: str, smooth: bool, dtype: torch.dtype, factor: float) -> None:
    """Under autocast the network makes A and G as it likes; their map is still made in full precision."""
    net, x = Rescored(build(ConvNet, seed=1), factor), inputs(2, 3)
    with torch.autocast("cpu", dtype=dtype):
        seen = record(net, ["net.act2"], x, first_score)
        got = explain(method, net, "net.act2", x, 0, eigen_smooth=smooth)
    assert got.raw[0].dtype == torch.float32
    for i in range(len(x)):
        want = oracles.raw_map(method, seen.A[0][i], seen.G[0][i], eigen_smooth=smooth)
        close(got.raw[0][i], torch.from_numpy(want), 1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_added_to_all_scores_changes_nothing(method: str) -> None:
    net, x = build(ConvNet, seed=1), inputs()
    want = explain(method, net, "act2", x)
    got = explain(method, Rescored(net, offset=8.0), "net.act2", x)
    assert got.classes == want.classes
    close(got.raw[0], want.raw[0])
    close(got.maps, want.maps)


@pytest.mark.parametrize("smooth", [False, True], ids=["sum", "eigen"])
@pytest.mark.parametrize("method", METHODS)
def test_a_permuted_batch_has_permuted_maps(method: str, smooth: bool) -> None:
    net, x, order = build(ConvNet, seed=3), inputs(batch=4), torch.tensor([2, 0, 3, 1])
    targets = torch.tensor([0, 1, 2, 1])
    want = explain(method, net, "conv2", x, targets, eigen_smooth=smooth)
    got = explain(method, net, "conv2", x[order], targets[order], eigen_smooth=smooth)
    close(got.raw[0], want.raw[0][order])
    close(got.maps, want.maps[order])


class Same(nn.Module):
    """`here` passes activations on unchanged; a pooled linear head of weights (C,) makes one score."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.here = nn.Identity()
        self.weights = nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        return (self.here(x).flatten(2).mean(dim=2) @ self.weights)[:, None]


@pytest.mark.parametrize("shape", [(40,), (6, 7), (3, 4, 5)])
@pytest.mark.parametrize("channels", [3, 70])  # fewer and more than positions
@pytest.mark.parametrize("method", ["eigencam", "eigengradcam"])
def test_principal_component_knows_no_order(method: str, channels: int, shape: tuple[int, ...]) -> None:
    """Channels permuted: the same map. Positions permuted: the map permuted alike."""
    generator = torch.Generator().manual_seed(channels)
    x = torch.randn((2, channels, *shape), generator=generator) + 0.5
    weights = torch.rand(channels, generator=generator)
    want = explain(method, Same(weights), "here", x).raw[0]
    order = torch.randperm(channels, generator=generator)
    close(explain(method, Same(weights[order]), "here", x[:, order]).raw[0], want, 1e-4)
    order = torch.randperm(x[0, 0].numel(), generator=generator)
    moved = x.flatten(2)[..., order].view_as(x)
    close(explain(method, Same(weights), "here", moved).raw[0].flatten(1), want.flatten(1)[:, order], 1e-4)


@pytest.mark.parametrize("side", [2, 4, 6], ids=["small", "medium", "large"])  # of 7 x 7
@pytest.mark.parametrize("channels", [6, 48, 160])
@pytest.mark.parametrize("signed", [False, True], ids=["relu", "signed"])
@pytest.mark.parametrize("method", ["eigencam", "eigengradcam"])
def test_planted_blobs_stay_bright(method: str, signed: bool, channels: int, side: int) -> None:
    """An object of any size in some channels is bright, its surroundings dark, in 20 of 20 places."""
    generator = torch.Generator().manual_seed(side)
    x = 0.3 * torch.randn((20, channels, 7, 7), generator=generator)
    x = x if signed else x.relu()
    inside = torch.zeros(20, 7, 7, dtype=torch.bool)
    corners = torch.randint(0, 8 - side, (20, 2), generator=generator).tolist()
    for i, (row, column) in enumerate(corners):
        inside[i, row : row + side, column : column + side] = True
    strength = 1 + torch.rand((20, channels), generator=generator)
    strength[:, channels // 2 :] = 0  # half of the channels do not see the object
    x = x + spread(strength, 2) * inside[:, None]
    maps = explain(method, Same(torch.ones(channels)), "here", x).maps
    for bright, blob in zip(maps, inside, strict=True):
        assert bright[blob].mean() > 0.3 + bright[~blob].mean()


@pytest.mark.parametrize("smooth", [False, True], ids=["sum", "eigen"])
@pytest.mark.parametrize("method", METHODS)
def test_singleton_axes_change_nothing(method: str, smooth: bool) -> None:
    """The same numbers as a sequence, as an image one pixel high, as a volume one voxel deep and high."""
    flat = build(ConvNet, 1, seed=1)
    x = inputs(1, seed=9)
    want = explain(method, flat, "conv2", x, 2, eigen_smooth=smooth)
    for ndim in (2, 3):
        net = build(ConvNet, ndim)
        for name in ("conv1", "conv2", "conv3"):
            old, ones = getattr(flat, name), (1,) * (ndim - 1)
            padding = (0,) * (ndim - 1) + (1,)
            new = CONV[ndim](old.in_channels, old.out_channels, (*ones, 3), (*ones, *old.stride), padding)
            new.weight.data = old.weight.data.view_as(new.weight)
            new.bias.data = old.bias.data
            setattr(net, name, new)
        net.head = flat.head
        lifted = x.reshape(*x.shape[:2], *(1,) * (ndim - 1), x.shape[-1])
        got = explain(method, net, "conv2", lifted, 2, eigen_smooth=smooth)
        close(got.raw[0].flatten(1), want.raw[0], 1e-4)
        close(got.maps.flatten(1), want.maps, 1e-4)


# -- maps that mean nothing
@pytest.mark.parametrize("smooth", [False, True], ids=["sum", "eigen"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 2.0], ids=["zero", "constant"])
def test_constant_activations_give_a_zero_map(method: str, value: float, smooth: bool) -> None:
    x = torch.full((2, 4, 5, 6), value)
    with blank():
        got = explain(method, Same(torch.tensor([1.0, 2, -1, 0.5])), "here", x, eigen_smooth=smooth)
    assert not got.maps.any()
    assert all(got.notes), "a blank map must say why"


@pytest.mark.parametrize("method", oracles.WEIGHTS)
def test_evidence_all_against_gives_a_zero_map(method: str) -> None:
    x = 1 + torch.rand((2, 4, 5, 6), generator=torch.Generator().manual_seed(0))
    with blank():
        got = explain(method, Same(-torch.ones(4)), "here", x)
    assert not got.maps.any()
    assert (got.raw[0] <= 0).all()
    assert all(got.notes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1)])
def test_one_position_is_finite(method: str, shape: tuple[int, ...]) -> None:
    x = torch.rand((1, 4, *shape), generator=torch.Generator().manual_seed(0))
    with blank():
        got = explain(method, Same(torch.ones(4)), "here", x)
    assert got.maps.shape == (1, *shape)
    assert not got.maps.any()


@pytest.mark.filterwarnings(f"ignore:.*{MEANINGLESS}")
@pytest.mark.parametrize("method", ["xgradcam", "gradcam++"])
def test_poles_stay_finite(method: str) -> None:
    """Channels that sum to 0 (XGradCAM) or to -2 / G (GradCAM++): a division by 0, a finite map."""
    x = torch.rand((1, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    x[:, 0] -= x[:, 0].mean()
    x[:, 1] -= x[:, 1].mean() + 2  # weight 1 over 20 positions: G = 1/20, S = -40, 2 + S G = 0
    got = explain(method, Same(torch.ones(3)), "here", x)
    assert got.weights[0].isfinite().all()
    assert got.maps.isfinite().all()
    assert got.maps.amin() >= 0
    assert got.maps.amax() <= 1
    if method == "xgradcam":
        np.testing.assert_allclose(got.weights[0][0], [0, 1 / 20, 1 / 20], rtol=1e-4)
    else:  # G = 1/20 at 20 positions; alpha = 1/2 at S = 0, kept at 10 at the pole, 1/(2 + Abar) for the last
        last = 1 / (2 + x[0, 2].mean().item())
        np.testing.assert_allclose(got.weights[0][0][[0, 2]], [1 / 2, last], rtol=1e-3)  # the epsilon is 1/2500 of G^2
        paper = package.GradCAMPlusPlus(Same(torch.ones(3)), "here", epsilon=0).explain(x)
        np.testing.assert_allclose(paper.weights[0][0], [1 / 2, 10, last], rtol=1e-4)
        # -1 and 1/2 of it: 2 G^2 + S G^3 + epsilon is exactly 0 with G = 1, S = -3, epsilon = 1
        pole = package.GradCAMPlusPlus.get_cam_weights(
            package.GradCAMPlusPlus(Same(torch.ones(3)), "here", epsilon=1.0), x, None, [],
            torch.full((1, 1, 3), -1.0), torch.ones(1, 1, 3),
        )  # fmt: skip
        assert pole.tolist() == [[0.0]]


def test_random_weights_are_uniform() -> None:
    """w ~ U(-1, 1): of 4096 the mean is 0 +- 0.009, the mean square 1/3 +- 0.005; another seed, others."""
    x = torch.zeros(1, 4096, 1, 2)
    x[..., 1] = 1
    first, again, other = (
        package.RandomCAM(Same(torch.ones(4096)), ["here"], seed=seed).explain(x, relu=False).weights[0]
        for seed in (0, 0, 1)
    )
    assert abs(first.mean()) < 0.05
    assert abs(first.square().mean() - 1 / 3) < 0.025
    assert first.amin() < -0.99
    assert first.amax() > 0.99
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_principal_component_of_sparse_gradients() -> None:
    """Most channels without any gradient, the others tiny beside a few: float32 solvers fail on such matrices."""
    generator = torch.Generator().manual_seed(0)
    for seed in range(20):
        values = torch.rand(1, 64, 11, 13, generator=generator) ** 40
        values[:, torch.randperm(64, generator=generator)[:50]] = 0
        found = principal_projection(values)[0].numpy().ravel()
        rows = values[0].flatten(1).double().numpy()
        rows = rows - rows.mean(1, keepdims=True)
        _, sigma, vectors = np.linalg.svd(rows, full_matrices=False)
        expected = sigma[0] * vectors[0]
        expected *= np.sign(expected @ rows.sum(0))
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), err_msg=str(seed))
