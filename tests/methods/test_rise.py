"""RISE against its definition, and what its random masks show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.shortcuts import unit_range
from helpers.tiny_nets import SIZES, ConvNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import (
    RISE,
)
from pytorch_grad_cam.rise import Masks

every_ndim = pytest.mark.parametrize("ndim", SIZES)


def enlarged(grid: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation with half-pixel centres, one axis after the other."""
    for axis, length in enumerate(size):
        places = (np.arange(length) + 0.5) * grid.shape[axis] / length - 0.5
        lines = np.moveaxis(grid, axis, -1)
        numbers = np.arange(grid.shape[axis])
        grown = [np.interp(places, numbers, line) for line in lines.reshape(-1, len(numbers))]
        grid = np.moveaxis(np.stack(grown).reshape(*lines.shape[:-1], length), -1, axis)
    return grid


@every_ndim
@pytest.mark.parametrize("centred", [True, False])
def test_rise_is_its_definition(ndim: int, centred: bool) -> None:
    size, count, p = SIZES[ndim], 9, 0.4
    generator = torch.Generator().manual_seed(5)
    cells = [min(4, length) for length in size]
    grids = (torch.rand((count, *cells), generator=generator) < p).double().numpy()
    steps = [int(np.ceil(length / number)) for length, number in zip(size, cells, strict=True)]
    shifts = np.stack([torch.randint(0, step, (count,), generator=generator).numpy() for step in steps], 1)
    masks = np.stack(
        [
            enlarged(grid, tuple((n + 1) * step for n, step in zip(cells, steps, strict=True)))[
                tuple(slice(start, start + length) for start, length in zip(shift, size, strict=True))
            ]
            for grid, shift in zip(grids, shifts, strict=True)
        ]
    )
    net, x = build(ConvNet, ndim).double(), inputs(ndim).double()
    cam = RISE(net, num_samples=count, cells=4, probability=p, seed=5, batch_size=2, centred=centred)
    found = cam.attributions(x, 1)
    with torch.no_grad():
        scores = np.stack([net(image * torch.from_numpy(masks)[:, None])[:, 1].numpy() for image in x])
    scores = scores - centred * scores.mean(1, keepdims=True)
    expected = np.tensordot(scores, masks, 1) / (count * p)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-12)
    np.testing.assert_allclose(cam.explain(x, 1, relu=False, normalize="minmax").maps, unit_range(expected), atol=1e-6)


@every_ndim
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_masks_show_every_place_alike(ndim: int, p: float) -> None:
    masks = Masks.drawn(6000, SIZES[ndim], 4, p, seed=0).made(slice(None), torch.zeros(()))
    assert masks.min() >= -1e-6
    assert masks.max() <= 1 + 1e-6
    assert (masks.mean(0) - p).abs().max() < 5 * (p * (1 - p) / 6000) ** 0.5
    assert masks.std(0).min() > 0.1


def test_rise_finds_what_the_network_reads() -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0, 2:12, 20:30].mean((1, 2))[:, None]

    x = torch.ones(1, 2, 40, 40)
    found = RISE(Corner(), num_samples=600)(x, lambda output: output[0])[0]
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert row in range(2, 12)
    assert column in range(20, 30)
    assert found[25:].max() < 0.35


def test_rise_does_not_see_a_constant_in_the_scores() -> None:
    net, x = build(ConvNet), inputs()
    found, lifted = (
        RISE(net, num_samples=40).attributions(x, target) for target in (lambda o: o[1], lambda o: o[1] + 100)
    )
    torch.testing.assert_close(found, lifted, rtol=0, atol=1e-3 * float(found.abs().max()))
