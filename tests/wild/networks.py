"""Small networks of the kinds that public code explains, with weights that no version of torch changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from helpers.unchanged_model import state_of
from torch import Tensor, nn
from torch.nn import functional as F

BUILT: list[tuple[nn.Module, dict[str, Any]]] = []  # every network of this process, and its state when it was built


def seeded(net: nn.Module, seed: int = 26) -> Any:
    """Fill a network's parameters and statistics from a seed, note its state, and return it in evaluation mode."""
    chance = np.random.RandomState(seed)
    with torch.no_grad():
        for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            values = chance.uniform(-1, 1, tuple(tensor.shape))
            if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                values = 1 + values / 2
            elif tensor.ndim == 1:
                values = values / 5
            else:
                values = values * (6 / max(1, tensor[0].numel())) ** 0.5
            tensor.copy_(torch.from_numpy(values))
    net.eval()
    BUILT.append((net, state_of(net)))
    return net


def images(batch: int = 2, size: tuple[int, ...] = (24, 32), channels: int = 3, seed: int = 1) -> Tensor:
    """Return random pictures or volumes ``(batch, channels, *size)`` with values around 0."""
    values = np.random.RandomState(seed).uniform(-2, 2, (batch, channels, *size))
    return torch.from_numpy(values).float()


class Small(nn.Module):
    """Three convolutions, a mean and a linear layer; nothing is done in place."""

    def __init__(self, classes: int = 5, channels: int = 3) -> None:
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU()
        self.block = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, classes)

    def features(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.act1(self.conv1(x)), 2)
        return self.act(self.conv3(F.max_pool2d(self.block(x), 2)))

    def forward(self, x: Tensor) -> Any:
        return self.head(self.drop(self.features(x).mean((2, 3))))


class TwoAnswers(Small):
    """Returns a tuple: class scores and the features they were made of."""

    def forward(self, x: Tensor) -> Any:
        features = self.features(x).mean((2, 3))
        return self.head(features), features


class Named(Small):
    """Returns a dict, as networks of detection and segmentation libraries do."""

    def forward(self, x: Tensor) -> Any:
        features = self.features(x).mean((2, 3))
        return {"logits": self.head(features), "features": features}


class Segmenter(Small):
    """Class scores for each pixel, ``(B, classes, H, W)``."""

    def forward(self, x: Tensor) -> Any:
        small = self.features(x)
        scores = torch.einsum("bchw,kc->bkhw", small, self.head.weight) + self.head.bias[:, None, None]
        return F.interpolate(scores, x.shape[2:], mode="nearest")


class Grids(Small):
    """A detector's head: ``(B, 4 + classes, places)`` and the grids it came from, as a tuple."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__(classes)
        self.predict = nn.Conv2d(8, 4 + classes, 1)

    def forward(self, x: Tensor) -> Any:
        grid = self.predict(self.features(x))
        flat = grid.flatten(2)
        return torch.cat([flat[:, :4].exp(), flat[:, 4:].sigmoid()], 1), [grid]


class Pair(nn.Module):
    """A layer that returns a tuple, as recurrent and attention layers do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Any:
        out = F.relu(self.conv(x))
        return out, out.mean()


class WithPair(nn.Module):
    """A network with a layer that returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.pair = Pair()
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        out, _ = self.pair(F.max_pool2d(F.relu(self.conv1(x)), 2))
        return self.head(out.mean((2, 3)))


class Clips(nn.Module):
    """Clips ``(B, T, 3, H, W)``: pictures one by one through a network for pictures, then a mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = Small()

    def forward(self, x: Tensor) -> Any:
        batch, time = x.shape[:2]
        return self.frames(x.flatten(0, 1)).reshape(batch, time, -1).mean(1)


class Volumes(nn.Module):
    """Volumes ``(B, 1, D, H, W)``."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 4, 3, padding=1, stride=stride)
        self.conv2 = nn.Conv3d(4, 6, 3, padding=1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(F.relu(self.conv2(F.relu(self.conv1(x)))).mean((2, 3, 4)))


class Block(nn.Module):
    """A block of a vision transformer with one attention head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        attention = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
        x = x + self.proj(attention @ v)
        return x + self.mlp(self.norm2(x))


class Tokens(nn.Module):
    """A vision transformer: patches of 4 x 4, one class token in front, two blocks."""

    def __init__(self, width: int = 8, side: int = 5) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(torch.zeros(1, side * side + 1, width))
        self.blocks = nn.ModuleList([Block(width), Block(width)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Any:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)[:, 0])


def resnet() -> Any:
    """Return torchvision's ResNet-18 with ten classes."""
    from torchvision.models import resnet18  # a second to load; most programs do without

    return seeded(resnet18(weights=None, num_classes=10))
