"""Networks of torchvision with random weights, and how to compare two."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

SMALL = "shufflenet_v2_x0_5"


def forbid_downloads(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Make every download of weights fail, and hide what was downloaded before."""

    def refused(url: str, *_: object, **__: object) -> None:
        raise urllib.error.URLError(f"no network in tests, asked for {Path(url).name}")

    monkeypatch.setenv("TORCH_HOME", str(cache))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refused)


def torchvision_net(name: str, classes: int = 1000, **options: Any) -> nn.Module:
    from torchvision.models import get_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = get_model(name, weights=None, num_classes=classes, **options)
        return model.eval()


def agree(one: nn.Module, other: nn.Module, tolerance: float = 0.0) -> bool:
    """Whether both have the same weights under the same names."""
    ours, theirs = one.state_dict(), other.state_dict()
    return list(ours) == list(theirs) and all(
        torch.allclose(ours[name].double(), theirs[name].double(), atol=tolerance, rtol=tolerance) for name in ours
    )
