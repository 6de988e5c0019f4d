"""Literal values, each with the arithmetic that gives it, so that a reader can check them with a pencil.

The picture-sized example ("the four pixels") is a 1 x 1 convolution of one image and one linear layer:

    x  = [[1, 2],   A_1 = x            S_1 = 1 + 2 + 0 + 3 = 6
          [0, 3]]   A_2 = 2 - x = [[1, 0], [2, -1]]        S_2 = 1 + 0 + 2 - 1 = 2

    y_0 = <V_1, A_1> + <V_2, A_2> + 20, so G_1 = V_1 and G_2 = V_2 at class 0; y_1 has the opposite weights
    and no bias.
    V_1 = [[1, -1], [2, 1]]      G_1 A_1 = [[ 1, -2], [0, 3]]   sum 2
    V_2 = [[-1, 2], [3, -2]]     G_2 A_2 = [[-1,  0], [6, 2]]   sum 7
    y_0 = 2 + 7 + 20 = 29, y_1 = -9: class 0 is on top.
"""

from __future__ import annotations

from fractions import Fraction as Q
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pytorch_grad_cam as package

V = [[1.0, -1, 2, 1], [-1, 2, 3, -2]]  # V_1 and V_2, row by row


class Linear1x1(nn.Module):
    """`conv`: a 1 x 1 convolution with given weights; then one linear layer on everything it put out."""

    def __init__(self, kind: type[nn.Module], weight: list, bias: list, rows: list, offsets: list) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            self.conv = kind(len(weight[0]), len(weight), 1)
            self.head = nn.Linear(len(rows[0]), len(rows))
        for layer, weights, biases in ((self.conv, weight, bias), (self.head, rows, offsets)):
            layer.weight.data = torch.tensor(weights, dtype=torch.float32).view_as(layer.weight)
            layer.bias.data = torch.tensor(biases, dtype=torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).flatten(1))


def numbers(values: Any) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def explain(method: str, net: nn.Module, x: list, targets: Any = None, **kwargs: Any) -> Any:
    cam = getattr(package, method)(net, [net.conv])
    return cam.explain(torch.tensor([x], dtype=torch.float32), targets, **kwargs)


@pytest.fixture
def four_pixels() -> nn.Module:
    flat = [V[0] + V[1], [-v for v in V[0] + V[1]]]
    return Linear1x1(nn.Conv2d, [[1], [-1]], [0, 2], flat, [20, 0])


X = [[[1, 2], [0, 3]]]
NUMBERS = {
    # w_1 = (1 - 1 + 2 + 1)/4 = 3/4, w_2 = (-1 + 2 + 3 - 2)/4 = 1/2; L = 3/4 A_1 + 1/2 A_2:
    # 3/4 + 1/2, 3/2 + 0; 0 + 1, 9/4 - 1/2. Least 1, range 3/4.
    "GradCAM": ([Q(3, 4), Q(1, 2)], [[Q(5, 4), Q(3, 2)], [1, Q(7, 4)]], [[Q(1, 3), Q(2, 3)], [0, 1]]),
    # L = G_1 A_1 + G_2 A_2; its sum is 9 = y_0 - 20. The ReLU removes -2, then divided by 6.
    "HiResCAM": ([[[1, -1], [2, 1]], [[-1, 2], [3, -2]]], [[0, -2], [6, 5]], [[0, 0], [1, Q(5, 6)]]),
    # relu(G_1 A_1) = 1, 0; 0, 3 and relu(G_2 A_2) = 0, 0; 6, 2.
    "GradCAMElementWise": (None, [[1, 0], [6, 5]], [[Q(1, 6), 0], [1, Q(5, 6)]]),
    # relu(G_1) A_1 = 1, 0; 0, 3 and relu(G_2) A_2 = 0, 2*0; 3*2, 0*(-1): the last pixel lacks the 2.
    "LayerCAM": ([[[1, 0], [2, 1]], [[0, 2], [3, 0]]], [[1, 0], [6, 3]], [[Q(1, 6), 0], [1, Q(1, 2)]]),
    # w_1 = 2/6, w_2 = 7/2; L: 1/3 + 7/2, 2/3; 7, 1 - 7/2. Conserved: w_1 S_1 + w_2 S_2 = 2 + 7 = 9.
    "XGradCAM": ([Q(1, 3), Q(7, 2)], [[Q(23, 6), Q(2, 3)], [7, Q(-5, 2)]], [[Q(23, 42), Q(2, 21)], [1, 0]]),
    # w_1 = 1/(2+6) + 2/(2+12) + 1/(2+6) = 11/28; w_2 = 2/(2+4) + 3/(2+6) = 17/24; in 168ths:
    # L: 66 + 119, 132; 238, 198 - 119 = 185, 132; 238, 79. Least 79, range 159: 106/159, 53/159; 1, 0.
    "GradCAMPlusPlus": (
        [Q(11, 28), Q(17, 24)],
        [[Q(185, 168), Q(132, 168)], [Q(238, 168), Q(79, 168)]],
        [[Q(2, 3), Q(1, 3)], [1, 0]],
    ),
}


@pytest.mark.parametrize("method", NUMBERS)
def test_four_pixels(four_pixels: nn.Module, method: str) -> None:
    weights, raw, picture = NUMBERS[method]
    got = explain(method, four_pixels, X)
    assert got.classes == (0,)
    assert got.scores.tolist() == [29.0]
    if weights is not None:
        np.testing.assert_allclose(got.weights[0][0], numbers(weights), rtol=1e-6)
    np.testing.assert_allclose(got.raw[0][0], numbers(raw), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got.maps[0], numbers(picture), atol=1e-6)


def test_four_pixels_the_other_class(four_pixels: nn.Module) -> None:
    """Class 1 has the opposite gradient: HiResCAM is 0, 2; -6, -5, one pixel is left; GradCAM is all < 0."""
    got = explain("HiResCAM", four_pixels, X, 1)
    np.testing.assert_allclose(got.raw[0][0], [[0, 2], [-6, -5]], atol=1e-6)
    np.testing.assert_allclose(got.maps[0], [[0, 1], [0, 0]], atol=1e-6)
    with pytest.warns(UserWarning, match="not every map means something"):
        got = explain("GradCAM", four_pixels, X, 1)
    np.testing.assert_allclose(got.raw[0][0], [[-1.25, -1.5], [-1, -1.75]], atol=1e-6)
    np.testing.assert_array_equal(got.maps[0], np.zeros((2, 2)))
    assert got.notes[0], "a map without any evidence must say so"


def test_four_pixels_signed(four_pixels: nn.Module) -> None:
    """Without the ReLU XGradCAM is 23/6, 2/3; 7, -5/2 over its largest magnitude 7; "none" leaves it."""
    got = explain("XGradCAM", four_pixels, X, relu=False)
    np.testing.assert_allclose(got.maps[0], [[23 / 42, 2 / 21], [1, -5 / 14]], atol=1e-6)
    got = explain("XGradCAM", four_pixels, X, relu=False, normalize="none")
    np.testing.assert_allclose(got.maps[0], [[23 / 6, 2 / 3], [7, -5 / 2]], rtol=1e-6)


def test_four_pixels_random(four_pixels: nn.Module) -> None:
    """Whatever the weights w are, L = w_1 (1, 2; 0, 3) + w_2 (1, 0; 2, -1)."""
    got = explain("RandomCAM", four_pixels, X)
    w = got.weights[0][0]
    assert w.abs().max() <= 1
    assert w[0] != w[1]
    want = [[w[0] + w[1], 2 * w[0]], [2 * w[1], 3 * w[0] - w[1]]]
    np.testing.assert_allclose(got.raw[0][0], numbers(want), atol=1e-6)


def test_eigencam() -> None:
    """Two orthogonal directions: A_1 = 2, 1, 0, 0 and A_2 = 2, 0, 1, 0 (2 x 2 pixels, read row by row).

    Centred (means 3/4): both variances 5 - 4 * 9/16 = 11/4, covariance 4 - 9/4 = 7/4. A matrix (a b; b a)
    with b > 0 has v_1 = (1, 1)/sqrt 2: L = (A_1 + A_2 - 3/2)/sqrt 2 = (5/2, -1/2, -1/2, -3/2)/sqrt 2; scaled
    after the ReLU it is 1, 0, 0, 0.
    Not centred: (5 4; 4 5), the same v_1: L = (4, 1, 1, 0)/sqrt 2, the picture 1, 1/4, 1/4, 0.
    """
    net = Linear1x1(nn.Conv2d, [[1, 0], [0, 1]], [0, 0], [[1] * 8], [0])
    x = [[[2, 1], [0, 0]], [[2, 0], [1, 0]]]
    got = explain("EigenCAM", net, x)
    assert got.weights == (None,)
    np.testing.assert_allclose(got.raw[0][0], numbers([[2.5, -0.5], [-0.5, -1.5]]) / sqrt(2), atol=1e-6)
    np.testing.assert_allclose(got.maps[0], [[1, 0], [0, 0]], atol=1e-6)
    cam = package.EigenCAM(net, [net.conv], centred=False)
    got = cam.explain(torch.tensor([x], dtype=torch.float32))
    np.testing.assert_allclose(got.raw[0][0], numbers([[4, 1], [1, 0]]) / sqrt(2), atol=1e-6)
    np.testing.assert_allclose(got.maps[0], [[1, 0.25], [0.25, 0]], atol=1e-6)


def test_eigengradcam() -> None:
    """The A of `test_eigencam` and G = 1, -1, -1, 1 in both channels: G A = 2, -1, 0, 0 and 2, 0, -1, 0.

    Means 1/4: variances 5 - 1/4 = 19/4, covariance 4 - 1/4 = 15/4, so v_1 = (1, 1)/sqrt 2 again:
    L = (4 - 1/2, -1 - 1/2, -1 - 1/2, 0 - 1/2)/sqrt 2 = (7/2, -3/2, -3/2, -1/2)/sqrt 2.
    """
    net = Linear1x1(nn.Conv2d, [[1, 0], [0, 1]], [0, 0], [[1, -1, -1, 1] * 2], [0])
    got = explain("EigenGradCAM", net, [[[2, 1], [0, 0]], [[2, 0], [1, 0]]])
    np.testing.assert_allclose(got.raw[0][0], numbers([[3.5, -1.5], [-1.5, -0.5]]) / sqrt(2), atol=1e-6)
    np.testing.assert_allclose(got.maps[0], [[1, 0], [0, 0]], atol=1e-6)


# Two positions: X - mean has the rows -d/2 and +d/2 with d = X(1) - X(0): v_1 = d/|d|, L is -|d|/2 and |d|/2
# or the opposite: bright where the channel sum is larger. A_1 = 1, 3; A_2 = 2, -1; G_1 = 2, 1; G_2 = 1, -3.
TWO_POSITIONS = {
    # A: d = (2, -3), |d| = sqrt 13; channel sums 3, 2: the first is bright.
    "EigenCAM": (sqrt(13), 0),
    # G A = 2, 3 and 2, 3: d = (1, 1), |d| = sqrt 2; sums 4, 6.
    "EigenGradCAM": (sqrt(2), 1),
    "HiResCAM": (sqrt(2), 1),
    # relu(G A) is G A here.
    "GradCAMElementWise": (sqrt(2), 1),
    # relu(G) A = 2, 3 and 2, 0: d = (1, -2), |d| = sqrt 5; sums 4, 3.
    "LayerCAM": (sqrt(5), 0),
    # w = 3/2, -1; w A = 3/2, 9/2 and -2, 1: d = (3, 3), |d| = sqrt 18; sums -1/2, 11/2.
    "GradCAM": (sqrt(18), 1),
    # S = 4, 1; w = (2 + 3)/4, (2 + 3)/1; w A = 5/4, 15/4 and 10, -5: d = (5/2, -15); sums 45/4, -5/4.
    "XGradCAM": (sqrt(6.25 + 225), 0),
    # w_1 = 2/(2 + 8) + 1/(2 + 4) = 11/30, w_2 = 1/(2 + 1) = 1/3; w A = 11/30, 33/30 and 20/30, -10/30:
    # d = (22/30, -1), |d| = sqrt(484 + 900)/30; sums 31/30, 23/30.
    "GradCAMPlusPlus": (sqrt(1384) / 30, 0),
}


@pytest.mark.parametrize("method", TWO_POSITIONS)
def test_eigen_smooth_of_two_positions(method: str) -> None:
    length, bright = TWO_POSITIONS[method]
    net = Linear1x1(nn.Conv1d, [[1, 0], [0, 1]], [0, 0], [[2, 1, 1, -3]], [0])
    got = explain(method, net, [[1, 3], [2, -1]], eigen_smooth=True)
    want = [length / 2, -length / 2] if bright == 0 else [-length / 2, length / 2]
    np.testing.assert_allclose(got.raw[0][0], want, rtol=1e-6)
    np.testing.assert_allclose(got.maps[0], [1 - bright, bright], atol=1e-6)


def test_eigen_smooth_follows_the_evidence() -> None:
    """A_1 = a, A_2 = 2a with weights 3 and -2: 3a and -4a sum to -a: the component is -5 (a - mean).

    a = 0, 1, 2, 5 has the mean 2: L = 10, 5, 0, -15, a fourth of it as G = w/4; the picture is 1, 1/2, 0, 0.
    """

    class Pooled(Linear1x1):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv(x).mean(dim=2))

    net = Pooled(nn.Conv1d, [[1], [2]], [0, 0], [[3, -2]], [0])
    got = explain("GradCAM", net, [[0, 1, 2, 5]], eigen_smooth=True)
    np.testing.assert_allclose(got.raw[0][0], [2.5, 1.25, 0, -3.75], atol=1e-6)
    np.testing.assert_allclose(got.maps[0], [1, 0.5, 0, 0], atol=1e-6)


class Pairs(nn.Module):
    """Adds neighbours: B_j = x_2j + x_2j+1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, 2)).sum(dim=-1)


class TwoScales(nn.Module):
    """`fine` passes x on, `coarse` adds neighbours; the score is the sum of all."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Identity(), Pairs()

    def forward(self, x: Tensor) -> Tensor:
        return self.coarse(self.fine(x)).sum(dim=(1, 2))[:, None]


def test_two_layers_by_hand() -> None:
    """x = 3, 1, 2, 6. All gradients are 1, so the maps are A = 3, 1, 2, 6 and B = 4, 8.

    A scaled: 2/5, 0, 1/5, 1. B scaled: 0, 1; resized at half-pixel centres: 0, 1/4, 3/4, 1.
    Mean: 1/5, 1/8, 19/40, 1; least 1/8, range 7/8: 3/35, 0, 2/5, 1.
    """
    net = TwoScales()
    got = package.GradCAM(net, [net.fine, net.coarse]).explain(torch.tensor([[[3.0, 1, 2, 6]]]))
    np.testing.assert_allclose(got.raw[0][0], [3, 1, 2, 6], rtol=1e-6)
    np.testing.assert_allclose(got.raw[1][0], [4, 8], rtol=1e-6)
    np.testing.assert_allclose(got.maps[0], [3 / 35, 0, 2 / 5, 1], atol=1e-6)
    alone = package.GradCAM(net, [net.coarse]).explain(torch.tensor([[[3.0, 1, 2, 6]]]))
    np.testing.assert_allclose(alone.maps[0], [0, 0.25, 0.75, 1], atol=1e-6)
