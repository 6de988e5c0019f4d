"""The plug-ins' colours, overlay, gray and per-channel ReLU, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.shortcuts import blank
from numpy.random import RandomState
from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.nnc.explainers import GradCAMExplainer, MapRequest
from pytorch_grad_cam.nnc.methods import ChannelReluGradCAM, ConsoleNoise, LayerSmoothGrad
from pytorch_grad_cam.nnc.style import coloured, overlay, sensitivity
from pytorch_grad_cam.smooth_grad import SmoothGrad
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget


@pytest.mark.parametrize(
    ("value", "colour"),
    [
        (0, (0, 0, 127.5)),
        (1 / 16, (0, 0, 191.25)),
        (1 / 8, (0, 0, 255)),
        (1 / 4, (0, 127.5, 255)),
        (3 / 8, (0, 255, 255)),
        (1 / 2, (127.5, 255, 127.5)),
        (5 / 8, (255, 255, 0)),
        (3 / 4, (255, 127.5, 0)),
        (7 / 8, (255, 0, 0)),
        (1, (127.5, 0, 0)),
    ],
)
def test_the_colours(value: float, colour: tuple[float, float, float]) -> None:
    assert coloured(torch.full((1, 1, 1), value))[0, :, 0, 0].tolist() == pytest.approx(colour)


def test_the_overlay_is_half_colour_half_picture_cut_to_whole_numbers() -> None:
    maps = torch.tensor([[[2.0, 6.0]], [[3.0, 3.0]]])  # the second is constant: dark blue
    pictures = torch.full((2, 1, 1, 2), 101.0)
    assert overlay(maps, pictures).tolist() == [[[[50, 50, 114], [114, 50, 50]]], [[[50, 50, 114]] * 2]]
    assert overlay(maps, pictures.expand(-1, 3, -1, -1)).tolist() == overlay(maps, pictures).tolist()


def test_colours_are_mixed_not_values() -> None:
    """Between dark blue and dark red the plug-in shows purple; a resized map would pass through green."""
    pictures = torch.zeros(1, 1, 1, 4)
    row = 2 * overlay(torch.tensor([[[0.0, 1.0]]]), pictures)[0, 0].int()
    assert row[1].tolist() == [30, 0, 94]  # 0.75 and 0.25 of 127.5, halved, cut, doubled


def test_a_frame_is_black() -> None:
    drawn = overlay(torch.tensor([[[0.0, 1.0]]]), torch.zeros(1, 3, 4, 6), size=(2, 4))[0].int()
    assert (drawn.sum(2) > 0).int().tolist() == [[0] * 6, [0, 1, 1, 1, 1, 0], [0, 1, 1, 1, 1, 0], [0] * 6]


def test_gray_lies_between_the_percentiles() -> None:
    values = torch.arange(101.0).reshape(1, 1, 101) * 1e-30  # squares of gradients are tiny
    drawn = sensitivity(values)[0, 0]
    assert drawn[:2].tolist() == [0, 0]
    assert drawn[99:].tolist() == [255, 255]
    assert drawn[50].item() == int(255 * 49 / 98)


def test_a_flat_map_is_black_and_outliers_on_it_are_white() -> None:
    assert sensitivity(torch.full((2, 5, 5), 3.0)).unique().tolist() == [0]
    values = torch.zeros(1, 20, 20)
    values[0, 3, 4] = 1e-40
    drawn = sensitivity(values)
    assert drawn[0, 3, 4] == 255
    assert drawn.sum() == 255


class Readout(nn.Module):
    """The identity as layer, and a linear score: gradients and activations are what the test says."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.weights = nn.Parameter(weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.layer(x) * self.weights).sum((1, 2, 3))[:, None]


def test_each_channel_has_its_own_relu() -> None:
    inputs = torch.tensor([[[[1.0, -2.0]], [[3.0, 4.0]], [[-1.0, 5.0]]]])  # (1, 3, 1, 2)
    grads = torch.tensor([[[2.0, 4.0]], [[-1.0, -1.0]], [[-2.0, 0.0]]])  # means 3, -1, -1
    found = ChannelReluGradCAM(Readout(grads), "layer").explain(inputs, ClassifierOutputTarget(0))
    # channel 0: 3, 0 (from -6); channel 1: 0, 0 (from -3, -4); channel 2: 1, 0 (from 1, -5)
    assert found.raw[0][0, 0].tolist() == pytest.approx([4 / 3, 0])
    with blank():
        found = ChannelReluGradCAM(Readout(0 * grads), "layer").explain(inputs, ClassifierOutputTarget(0))
    assert not found.raw[0].any()


def test_noise_is_numpys_row_after_row_whatever_is_left_out() -> None:
    images = torch.rand(4, 2, 3, 3, generator=torch.Generator().manual_seed(0)) * 4 - 1
    drawn = RandomState(7).normal(size=(4, 5, 2, 3, 3))
    for rows in ((0, 1, 2, 3), (1, 3), (3,), (2,)):
        noise = ConsoleNoise(0.2, 5, seed=7)
        noise.expect(rows)
        for row in rows:
            image = images[row]
            got = np.stack([noise(image, number).numpy() for number in range(5)])
            spread = float(image.max() - image.min())
            np.testing.assert_allclose(got, 0.2 * spread * drawn[row], rtol=1e-6)


def test_the_gradient_of_a_layer_is_that_of_what_follows_it() -> None:
    """The layer hands its input on, so its gradient is the input's, draw for draw."""
    inputs = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))

    class Squared(Readout):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.layer(x) ** 3 * self.weights).sum((1, 2, 3))[:, None]

    model = Squared(torch.linspace(-1, 1, 48).reshape(3, 4, 4))
    targets = [ClassifierOutputTarget(0)] * 2
    how: dict[str, Any] = {"noise_level": 0.3, "num_samples": 4, "batch_size": 3, "seed": 3}
    for squared, mode in ((True, "squared"), (False, "absolute")):
        want = SmoothGrad(model, mode=mode, **how).explain(inputs, targets).raw[0]  # type: ignore[arg-type]
        got = LayerSmoothGrad(model, model.layer, squared, noise=None, **how).explain(inputs, targets)
        torch.testing.assert_close(got.raw[0], want)
        assert got.notes == ((), ())
    flat = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with pytest.raises(ValueError, match=r"layer '0' gives \(2, 48\)"):
        LayerSmoothGrad(flat, flat[0], True, noise=None, **how).explain(inputs, targets)


def test_notes_give_no_advice_that_the_commands_cannot_follow() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    net[0].weight.data.fill_(1)
    net[4].weight.data.fill_(-1)
    preprocessing = Preprocessing((4, 4), None, (0.0,) * 3, (1.0,) * 3)
    picture = np.full((4, 4, 3), 200, np.uint8)
    picture[0] = 90
    with pytest.warns(UserWarning, match="relu=False shows it"):  # for who writes Python
        (answer,) = GradCAMExplainer(net.eval(), ["1"], None, preprocessing, console=False)(
            [MapRequest(0, picture, None, 0)]
        )
    assert answer.notes == ("all evidence at layer '1' is negative",)
