"""A tiny network for the commands of ``nnc``, which can be killed in the middle of its work."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel

NET = ("--model", "helpers.nnc_net:tiny")
SIDE, CLASSES = 8, 3
KILL_AFTER = "NNC_NET_KILL_AFTER"  # environment: the number of pictures after which the process kills itself
seen: list[int] = []  # pictures per forward pass


class Tiny(nn.Module):
    """Two convolutions and a linear layer, random but always the same."""

    def __init__(self, channels: int = 3, outputs: int = CLASSES) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.features = nn.Sequential(
                nn.Conv2d(channels, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 5, 3, padding=1)
            )
            self.head = nn.Linear(5, outputs)

    def forward(self, x: Tensor) -> Tensor:
        seen.append(len(x))
        if sum(seen) > int(os.environ.get(KILL_AFTER, 1_000_000)):
            os.kill(os.getpid(), signal.SIGKILL)
        result: Tensor = self.head(self.features(x).relu().mean((2, 3)))
        return result


class Cropping(Tiny):
    """Looks at the middle of its input only."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :, 2:-2, 1:-1])


def tiny() -> LoadedModel:
    return LoadedModel(Tiny(), Preprocessing((SIDE, SIDE), None, (0.0,) * 3, (1.0,) * 3), source="tiny")


def gray() -> LoadedModel:
    return LoadedModel(Tiny(1), Preprocessing((SIDE, SIDE), None, (0.0,), (1.0,)), source="tiny gray")


def yes_or_no() -> LoadedModel:
    return LoadedModel(Tiny(outputs=1), Preprocessing((SIDE, SIDE), None, (0.0,) * 3, (1.0,) * 3), source="tiny binary")


def cropping() -> LoadedModel:
    return LoadedModel(Cropping(), Preprocessing((SIDE, SIDE), None, (0.0,) * 3, (1.0,) * 3), source="tiny crop")


def any_size() -> LoadedModel:
    return LoadedModel(Tiny(), Preprocessing(None, None, (0.0,) * 3, (1.0,) * 3), source="tiny, any size")


def blind() -> LoadedModel:
    """Answers the same to every picture."""
    loaded = tiny()
    with torch.no_grad():
        loaded.model.head.weight.zero_()  # type: ignore[union-attr, operator]
    return loaded


def dense() -> LoadedModel:
    """Answers with a map instead of scores."""
    model = nn.Sequential(nn.Conv2d(3, 2, 3))
    return LoadedModel(model, Preprocessing((SIDE, SIDE), None, (0.0,) * 3, (1.0,) * 3), source="dense")


def pictures(folder: Path, count: int, size: tuple[int, int] = (SIDE, SIDE)) -> list[str]:
    """Paint ``count`` random pictures into ``folder / "p"`` and return their paths relative to ``folder``."""
    (folder / "p").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(5)
    names = [f"p/{index}.png" for index in range(count)]
    for name in names:
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / name)
    return names


def dataset(folder: Path, count: int) -> Path:
    """Write a dataset of random pictures with integer labels."""
    rows = [f"{name},{index % CLASSES}\n" for index, name in enumerate(pictures(folder, count))]
    path = folder / "d.csv"
    path.write_text("x:image,y:shape\n" + "".join(rows))
    return path
