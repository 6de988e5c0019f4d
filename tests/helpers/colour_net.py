"""A network that sees red and blue: each class is the mean of one channel of `colours`, so its map is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel

NET = ["--model", "helpers.colour_net:described"]


class Colours(nn.Module):
    """Classes red, dark blue, and nothing, which no picture contains."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            conv.weight.copy_(torch.tensor([[1, -1, -1], [-1, -1, 1], [0, 0, 0]])[:, :, None, None])
        self.colours = nn.Sequential(conv, nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.scale = nn.Parameter(torch.tensor([100.0, 50.0, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.pool(self.colours(x))
        return seen.flatten(1) * self.scale


def described() -> LoadedModel:
    """Make the network with all that is needed to explain it."""
    seen = Preprocessing(40, 40, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return LoadedModel(Colours(), seen, ("red", "dark blue", "nothing"), source="two colours")


class Crashing(Colours):
    """Fails in a way that nobody foresaw."""

    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no such key")


class CrashingOnWhite(Colours):
    """Fails on a batch that has a white pixel."""

    def forward(self, x: Tensor) -> Tensor:
        if bool((x.amin(dim=1) > 2).any()):  # as ImageNet is normalised
            raise ArithmeticError("a white pixel")
        return super().forward(x)


def red_and_blue(path: str | Path | None = None) -> NDArray[np.uint8]:
    """Paint a picture, 60 x 90: red on the left, blue on the right, gray elsewhere; save it if a path is given."""
    picture = np.full((60, 90, 3), 128, dtype=np.uint8)
    picture[20:40, 24:40] = (255, 0, 0)
    picture[20:40, 56:70] = (0, 0, 255)
    if path is not None:
        Image.fromarray(picture).save(path)
    return picture


def smooth() -> LoadedModel:
    """Make the same network without a ReLU."""
    loaded = described()
    loaded.model.colours[1] = nn.Softplus(beta=20)  # type: ignore[index, operator]
    return loaded
