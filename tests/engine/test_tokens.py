"""How a layer's output is laid out: tokens, grids, channels first or last, by shapes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.layout import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    TOKENS,
    InferredReshapeTransform,
    TensorLayout,
)
from pytorch_grad_cam.engine.tokens import embedded_grids, prefix_and_grid


@pytest.mark.parametrize(
    ("tokens", "size", "prefix", "grid"),
    [
        (197, (224, 224), 1, (14, 14)),  # ViT: a class token
        (198, (224, 224), 2, (14, 14)),  # DeiT, distilled
        (201, (224, 224), 5, (14, 14)),  # a class token and four registers
        (1374, (518, 518), 5, (37, 37)),  # DINOv2 with registers
        (196, (224, 224), 0, (14, 14)),
        (49, (224, 224), 0, (7, 7)),
        (16, (6, 10), 1, (3, 5)),
        (197, (112, 448), 1, (7, 28)),  # not square
        (126, (1000,), 1, (125,)),
        (65, (32, 32, 32), 1, (4, 4, 4)),
        (37, (100, 100), 1, (6, 6)),  # patches of 16 that leave a rest out
        (16, (100, 100), 0, (4, 4)),
    ],
)
def test_the_grid_of_square_patches(tokens: int, size: tuple[int, ...], prefix: int, grid: tuple[int, ...]) -> None:
    assert prefix_and_grid(tokens, size) == (prefix, grid)


def test_several_readings_are_listed() -> None:
    message = r"52 tokens .* several ways: 3 and a grid of 7 x 7 or 16 and a grid of 6 x 6; say how"
    with pytest.raises(ValueError, match=message):
        prefix_and_grid(52, (168, 168))
    assert prefix_and_grid(52, (168, 168), embedded=[(6, 6)]) == (16, (6, 6))  # the network itself tells
    with pytest.raises(ValueError, match=r"99 tokens are no grid of square patches"):
        prefix_and_grid(99, (17, 16))


class Patches(nn.Module):
    """What a network is to the layout: its patch embedding, and the norm of its tokens."""

    def __init__(self, patch: tuple[int, ...], stride: tuple[int, ...] | None = None, width: int = 8) -> None:
        super().__init__()
        conv = nn.Conv2d if len(patch) == 2 else nn.Conv3d
        self.patches = conv(3, width, patch, stride or patch)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Linear(width, 4 * width)


def test_patches_that_are_no_squares_are_found_in_the_embedding() -> None:
    assert (3, 10) in embedded_grids(Patches((8, 4)), 3, (24, 40))
    tokens = torch.randn(2, 31, 8)
    grid = InferredReshapeTransform(Patches((8, 4)), torch.zeros(2, 3, 24, 40))(tokens)
    assert torch.equal(grid[1, :, 2, 7], tokens[1, 1 + 2 * 10 + 7])
    assert grid.shape == (2, 8, 3, 10)
    overlapping = InferredReshapeTransform(Patches((16, 16), (10, 10)), torch.zeros(1, 3, 1024, 128))
    assert overlapping.layout_of(torch.empty(1, 1214, 8)) == TensorLayout(TOKENS, (101, 12), 2)
    # In the video 2 x 28 x 28 cubes would fit as well.
    video = InferredReshapeTransform(Patches((2, 16, 16)), torch.zeros(1, 3, 16, 224, 224))
    assert video.layout_of(torch.empty(1, 1568, 8)) == TensorLayout(TOKENS, (8, 14, 14))
    merged_but_not_in_time = torch.empty(1, 1 + 8 * 7 * 7, 8)
    assert video.layout_of(merged_but_not_in_time) == TensorLayout(TOKENS, (8, 7, 7), 1)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((2, 13, 3, 5), TensorLayout(CHANNELS_FIRST, (3, 5))),
        ((2, 3, 5, 12), TensorLayout(CHANNELS_LAST, (3, 5))),
        ((2, 3, 5, 48), TensorLayout(CHANNELS_LAST, (3, 5))),  # inside a block, as wide as its linear layer
        ((2, 3, 5, 9), TensorLayout(CHANNELS_FIRST, (5, 9))),  # nothing in the network has 9 channels in its last axis
        ((2, 4, 10, 12), TensorLayout(CHANNELS_FIRST, (10, 12))),  # neither is a grid of the input: as ever
        ((2, 16, 8), TensorLayout(TOKENS, (3, 5), 1)),
        ((2, 15, 8), TensorLayout(TOKENS, (3, 5))),
    ],
)
def test_the_layout_of_an_output(shape: tuple[int, ...], layout: TensorLayout) -> None:
    net = Patches((8, 8), width=12)
    assert InferredReshapeTransform(net, torch.zeros(2, 3, 24, 40)).layout_of(torch.empty(shape)) == layout


def test_the_layers_tell_where_the_shape_does_not() -> None:
    inputs, output = torch.zeros(1, 3, 64, 64), torch.randn(1, 8, 8, 8)
    net = Patches((8, 8))
    assert InferredReshapeTransform(net, inputs, [net.patches])(output) is output
    assert torch.equal(InferredReshapeTransform(net, inputs, [net.norm])(output), output.movedim(-1, 1))
    mixed = nn.Sequential(nn.Conv2d(8, 8, 1), nn.LayerNorm(8))
    with pytest.raises(ValueError, match=r"two ways: channels first 8 of \(8, 8\), or channels last 8 of \(8, 8\)"):
        InferredReshapeTransform(net, inputs, [mixed])(output)
    convolutions = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(8, 8))
    no_norm_takes_channels_last = InferredReshapeTransform(convolutions, inputs, [convolutions[1]])
    assert no_norm_takes_channels_last(output) is output


def test_records_tuples_and_dicts() -> None:
    layout = InferredReshapeTransform(Patches((8, 8)), torch.zeros(2, 3, 24, 40))
    tokens, attention = torch.randn(2, 16, 8), torch.randn(2, 1, 16, 16)
    grid = layout(tokens)
    outputs: list[Any] = [(tokens, attention), [tokens], {"last_hidden_state": tokens, "first": tokens}, (None, tokens)]
    for output in outputs:
        assert torch.equal(layout(output), grid)
    indices = torch.zeros(2, 4, 3, 5, dtype=torch.long)
    assert layout((torch.ones(2, 4, 3, 5), indices)).shape == (2, 4, 3, 5)
    levels = {"0": torch.zeros(2, 4, 6, 10), "1": torch.zeros(2, 4, 3, 5)}
    with pytest.raises(ValueError, match=r"a dict with several maps of positions: \{'0': \(2, 4, 6, 10\), '1'"):
        layout(levels)
    with pytest.raises(ValueError, match=r"a SimpleNamespace with no map of positions"):
        layout(SimpleNamespace(tokens=tokens))


def test_the_layout_follows_the_input() -> None:
    net = Patches((8, 8))

    def grid(height: int, width: int) -> Tensor:
        tokens = torch.zeros(1, 1 + height * width // 64, 8)
        return InferredReshapeTransform(net, torch.zeros(1, 3, height, width))(tokens)

    assert grid(24, 40).shape[2:] == (3, 5)
    assert grid(40, 24).shape[2:] == (5, 3)
    assert grid(64, 16).shape[2:] == (8, 2)
