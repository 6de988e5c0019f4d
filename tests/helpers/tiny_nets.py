"""Tiny seeded networks for every test: a forward pass is well under a millisecond.

Each is built by `build(SomeNet, ...)`, which draws from a generator of its own and leaves the global random
state as found. All come in evaluation mode. `inputs(...)` makes matching inputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
SIZES = {1: (23,), 2: (11, 14), 3: (5, 6, 7)}  # odd and not square: a swapped or rounded axis shows
CHANNELS, CLASSES = 2, 3


def build(kind: Callable[..., nn.Module], *args: object, seed: int = 0, **kwargs: object) -> nn.Module:
    """Makes `kind(*args, **kwargs)` in evaluation mode, filled from a generator seeded with `seed`."""
    with torch.random.fork_rng(devices=[]):  # the constructors below draw from the global state
        net = kind(*args, **kwargs)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if not value.is_floating_point():
                continue
            fan_in = max(value[0].numel(), 1) if value.dim() > 1 else 4
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var") or (name.endswith("weight") and value.dim() == 1):
                value.copy_(1 + 0.3 * noise.abs())
            else:
                value.copy_(noise * (1.5 / fan_in**0.5))
    return net.eval()


def inputs(ndim: int = 2, batch: int = 2, *, size: tuple[int, ...] | None = None, seed: int = 1) -> Tensor:
    """(batch, CHANNELS, *size) standard normal numbers from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((batch, CHANNELS, *(size or SIZES[ndim])), generator=generator)


def frozen(net: nn.Module) -> nn.Module:
    """A twin with equal parameters, none of which requires a gradient."""
    twin = copy.deepcopy(net)
    for parameter in twin.parameters():
        parameter.requires_grad = False
    return twin


class ConvNet(nn.Module):
    """Three convolutions; `conv2` halves the resolution. The tail is not linear: gradients vary."""

    def __init__(self, ndim: int = 2, *, inplace: bool = False) -> None:
        super().__init__()
        conv = CONV[ndim]
        self.conv1 = conv(CHANNELS, 4, 3, padding=1)
        self.act1 = nn.ReLU(inplace)
        self.conv2 = conv(4, 5, 3, stride=2, padding=1)
        self.act2 = nn.ReLU(inplace)
        self.conv3 = conv(5, 6, 3, padding=1)
        self.act3 = nn.ReLU(inplace)
        self.head = nn.Linear(6, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        return self.act2(self.conv2(self.act1(self.conv1(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act3(self.conv3(self.features(x))).flatten(2).mean(2))


class InPlaceNet(ConvNet):
    """Every ReLU writes over the output of the convolution before it."""

    def __init__(self, ndim: int = 2) -> None:
        super().__init__(ndim, inplace=True)


class ResidualNet(nn.Module):
    """A residual block whose in-place addition and ReLU write over the output of `norm`; ends in dropout."""

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.stem = CONV[ndim](CHANNELS, 4, 3, padding=1)
        self.conv = CONV[ndim](4, 4, 3, padding=1)
        self.norm = NORM[ndim](4)
        self.tail = CONV[ndim](4, 4, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        out = self.norm(self.conv(x))
        out += x
        out = F.relu_(out)
        return self.head(self.drop(F.relu(self.tail(out)).flatten(2).mean(2)))


class SharedReluNet(nn.Module):
    """One ReLU module called twice: what is explained is its last call."""

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.conv1 = CONV[ndim](CHANNELS, 4, 3, padding=1)
        self.conv2 = CONV[ndim](4, 4, 3, padding=1)
        self.conv3 = CONV[ndim](4, 4, 3, padding=1)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.conv2(self.act(self.conv1(x))))
        return self.head(torch.tanh(self.conv3(x)).flatten(2).mean(2))


class DictNet(ConvNet):
    """Returns a dictionary, as detection and segmentation networks do."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"logits": super().forward(x), "size": x.flatten(1).norm(dim=1)}


class UNet(nn.Module):
    """One scale down and up with a skip connection; a score per class and pixel: (B, CLASSES, *S)."""

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.down = CONV[ndim](CHANNELS, 4, 3, padding=1)
        self.middle = CONV[ndim](4, 6, 3, stride=2, padding=1)
        self.up = CONV[ndim](10, 5, 3, padding=1)
        self.head = CONV[ndim](5, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.down(x))
        deep = F.relu(self.middle(skip))
        deep = F.interpolate(deep, size=skip.shape[2:], mode="nearest")
        return self.head(F.relu(self.up(torch.cat([skip, deep], dim=1))))


class GapLinear(nn.Module):
    """features -> global average -> one linear layer: the head for which every method has a closed form."""

    def __init__(self, ndim: int = 2, *, signed: bool = False, channels: int = 5) -> None:
        super().__init__()
        conv = CONV[ndim](CHANNELS, channels, 3, stride=2, padding=1)
        self.features = nn.Sequential(conv, nn.Tanh() if signed else nn.ReLU())
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(2).mean(2))


class FlatLinear(nn.Module):
    """features -> one linear layer on all positions: HiResCAM sums to the score less the bias. Fixed size."""

    def __init__(self, ndim: int = 2, *, channels: int = 3) -> None:
        super().__init__()
        self.features = CONV[ndim](CHANNELS, channels, 3, padding=1)
        positions = int(torch.tensor(SIZES[ndim]).prod())
        self.head = nn.Linear(channels * positions, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


class Block(nn.Module):
    """A pre-norm transformer block with one attention head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)  # (B, N, width) each
        attention = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(dim=-1)
        x = x + self.out(attention @ v)
        return x + self.mlp(self.norm2(x))


class TinyViT(nn.Module):
    """Patches of 2 x 2, a class token in front, two blocks, a head that reads that token. Input 6 x 10."""

    size, grid = (6, 10), (3, 5)

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(CHANNELS, width, 2, stride=2)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, 1 + self.grid[0] * self.grid[1], width))
        self.blocks = nn.ModuleList([Block(width), Block(width)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)[:, 0])


def tokens_to_grid(tokens: Tensor) -> Tensor:
    """The reshape transform of TinyViT: (B, 1 + h * w, D) -> (B, D, h, w), class token dropped."""
    height, width = TinyViT.grid
    return tokens[:, 1:].unflatten(1, (height, width)).movedim(-1, 1)
