"""SESS against its definition in float64 NumPy.

A and G come from an ordinary autograd pass over a float64 copy of the network (`independent_gradients.py`).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from helpers import oracles
from helpers.again import again
from helpers.independent_gradients import record
from helpers.shortcuts import MEANINGLESS
from helpers.tiny_nets import (
    SIZES,
    ConvNet,
    TinyViT,
    UNet,
    build,
    inputs,
    tokens_to_grid,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam import (
    SESS,
    GradCAM,
)
from pytorch_grad_cam.engine.maps import unit_peak, unit_range

Array = NDArray[np.float64]
pytestmark = pytest.mark.filterwarnings(f"ignore:.*{MEANINGLESS}")
ranks = pytest.mark.parametrize("ndim", SIZES)


def gradcam(net: nn.Module, layers: list[str], x: Tensor, score: Any) -> list[list[Array]]:
    """GradCAM's raw maps, per image and layer."""
    seen = record(net.double(), layers, x.double(), score)
    pairs = list(zip(seen.A, seen.G, strict=True))
    return [[oracles.raw_map("gradcam", A[i], G[i]) for A, G in pairs] for i in range(len(x))]


# -- SESS ----------------------------------------------------------------------------------------------------
def starts(length: int, step: int, window: int) -> list[int]:
    found = list(range(0, length - window + 1, step))
    return found if found[-1] == length - window else [*found, length - window]


def blurred(m: Array) -> Array:
    """The convolution with the outer product of Gaussians, mirrored at the border without repeating it."""
    line = np.exp(-(np.arange(-5.0, 6.0) ** 2) / 50)
    padded = np.pad(m, 5, mode="reflect")
    out = np.zeros_like(m)
    for offset in itertools.product(range(11), repeat=m.ndim):
        part = padded[tuple(slice(o, o + side) for o, side in zip(offset, m.shape, strict=True))]
        out += part * np.prod([line[o] / line.sum() for o in offset])
    return out


def sess(net: nn.Module, image: Tensor, category: int, scales: list[int], window: int, step: int, **o: Any) -> Array:
    size, votes = tuple(image.shape[2:]), []
    for scale in scales:
        whole = tuple(scale if side == min(size) else int(scale * side / min(size)) for side in size)
        scaled = np.stack([oracles.resize(channel, whole) for channel in image[0].numpy()])
        for start in itertools.product(*[starts(side, step, window) for side in whole]):
            place = tuple(slice(a, a + window) for a in start)
            crop = torch.from_numpy(scaled[(slice(None), *place)])[None]
            (raws,) = gradcam(net, ["act2"], crop, lambda outputs: outputs[:, category])
            with torch.no_grad():
                y = net(crop)[0]
            score = float(y.softmax(0)[category]) if o.get("softmax", True) else max(float(y[category]), 0.0)
            votes.append((score, whole, place, oracles.picture(raws, (window,) * len(size))))
    drop = int(len(votes) * o.get("drop", 0))
    votes = sorted(votes, key=lambda vote: vote[0])[drop:]
    best = max(vote[0] for vote in votes)
    each = []
    for score, whole, place, found in votes:
        canvas = np.zeros(whole)
        canvas[place] = found * (score / best if best > 0 else 1.0)
        each.append(oracles.resize(canvas, size))
    stack = np.stack(each)
    if o.get("pool") == "max":
        fused = stack.max(0)
    else:
        counts = stack > o.get("theta", 0)
        fused = (stack * counts).sum(0) / np.maximum(counts.sum(0), 1)
    return blurred(fused) if o.get("smooth", True) else fused


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        ({}, {}),
        ({"pool": "max"}, {"pool": "max"}),
        ({"theta": 0.4, "smooth": False}, {"theta": 0.4, "smooth": False}),
        ({"pre_filter_ratio": 0.5}, {"drop": 0.5}),
        ({"use_softmax_scores": False}, {"softmax": False}),
        ({"step_size": 5, "batch_size": 3}, {"step": 5}),
    ],
    ids=["default", "max", "theta", "filtered", "scores", "overlapping"],
)
@pytest.mark.parametrize("ndim", [2, *again(1, 3)])
def test_sess(ndim: int, own: dict[str, Any], theirs: dict[str, Any]) -> None:
    x, shortest = inputs(ndim, 2), min(SIZES[ndim])
    scales = [shortest, shortest + 2, 2 * shortest]
    got = SESS(build(ConvNet, ndim, seed=1), "act2", scales=scales, **own).explain(x, 1)
    double = build(ConvNet, ndim, seed=1).double()
    theirs = {"step": shortest} | theirs
    for i in range(2):
        want = sess(double, x[i : i + 1].double(), 1, scales, shortest, **theirs)
        assert np.abs(got.raw[0][i].numpy() - want).max() <= 1e-4
        assert np.abs(got.maps[i].numpy() - oracles.unit_range(want)).max() <= 1e-4


def test_the_scales_of_sess_and_its_windows() -> None:
    cam = SESS(build(ConvNet), "act2")
    assert cam.get_scales(224) == [224 + 64 * index for index in range(12)]
    starts_of = cam._crops(inputs(size=(8, 10))[:1], (8, 8))[1][:4]
    assert starts_of == [((0, 0), (8, 10)), ((0, 2), (8, 10)), ((0, 0), (10, 12)), ((0, 4), (10, 12))]


def test_sess_finds_an_object_too_small_for_the_base() -> None:
    """A detector of one size only: the small square is found when it is shown enlarged."""

    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.box = nn.Conv2d(1, 1, 8, padding=4)
            self.box.weight.data.fill_(1 / 64)
            self.box.bias.data.fill_(-0.9)  # only a square of 8 x 8 or more passes

        def forward(self, x: Tensor) -> Tensor:
            seen = self.box(x).relu().flatten(2).mean(2)
            return torch.cat([seen * 100, torch.zeros_like(seen)], 1)

    x = torch.zeros(1, 1, 32, 32)
    x[..., 20:25, 6:11] = 1
    net = Detector()
    assert GradCAM(net, "box")(x, 0, relu=True).argmax() != 22 * 32 + 8
    found = SESS(net, "box", smooth=False, scales=[32, 64, 96])(x, 0)[0]
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 20 <= row < 25
    assert 6 <= column < 11


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("normalize", ["none", "max"])
def test_how_the_result_is_scaled_changes_no_window(normalize: Any, relu: bool) -> None:
    net, x = build(ConvNet, seed=2), inputs(2, 2, size=(24, 29))
    cam = SESS(net, "act2", num_scales=3)
    usual, other = (cam.explain(x, 1, relu=relu, normalize=how) for how in (None, normalize))
    assert torch.equal(usual.raw[0], other.raw[0])
    if normalize == "none":
        np.testing.assert_allclose(usual.maps, (unit_range if relu else unit_peak)(other.maps), atol=1e-6)


def test_what_sess_refuses() -> None:
    net, x = build(ConvNet), inputs()
    for option, message in (
        ({"pool": "median"}, "choose 'mean' or 'max'"),
        ({"pre_filter_ratio": 1.0}, r"give one in \[0, 1\)"),
        ({"num_scales": 0}, "at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            SESS(net, "act2", **option)
    with pytest.raises(ValueError, match=r"at scale 5 the picture is \(5, 6\), smaller than the window \(11, 11\)"):
        SESS(net, "act2", scales=[5])(x, 0)
    with pytest.raises(ValueError, match="must have 2 sides"):
        SESS(net, "act2", window_size=(3, 4, 5))(x, 0)
    segmenter, score = build(UNet), energy_of_a_class
    with pytest.raises(ValueError, match="use_softmax_scores=False"):
        SESS(segmenter, "middle")(x, score)
    assert SESS(segmenter, "middle", use_softmax_scores=False, num_scales=2)(x, score).shape == (2, 11, 14)


def test_sess_with_windows_that_are_no_squares() -> None:
    net, x = build(TinyViT), inputs(2, 2, size=TinyViT.size)
    found = SESS(net, "blocks.1.norm1", tokens_to_grid, window_size=TinyViT.size, num_scales=3).explain(x, 1)
    assert found.maps.shape == (2, *TinyViT.size)
    one = SESS(net, "blocks.1.norm1", tokens_to_grid, window_size=TinyViT.size, num_scales=1, smooth=False)
    np.testing.assert_allclose(one(x, 1), GradCAM(net, "blocks.1.norm1", tokens_to_grid)(x, 1), atol=1e-5)


def energy_of_a_class(row: Tensor) -> Tensor:
    return row[1].square().sum()
