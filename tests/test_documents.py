"""The Python of the documentation runs: each page's blocks, in order, on a small network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from nets import CHANNELS, build, inputs
from torch import nn

import pytorch_grad_cam

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs").glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Residual(nn.Sequential):
    """A small network with the layer that the page names."""

    def __init__(self) -> None:
        super().__init__()
        self.layer3 = nn.Sequential(nn.Conv2d(CHANNELS, 4, 3, padding=1), nn.ReLU())
        self.layer4 = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.layer5 = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, 3)


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_coming_from() -> None:
    page = next(page for page in PAGES if page.name == "coming_from.md")
    names = {name: getattr(pytorch_grad_cam, name) for name in pytorch_grad_cam.__all__}
    model = build(Residual)
    labels = torch.eye(3)[[0, 2]]
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert len(blocks) == 3
    for block in blocks:
        code = block.replace("281", "1")
        exec(code, {**names, "model": model, "layer": "layer4", "x": inputs(), "labels": labels})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link
