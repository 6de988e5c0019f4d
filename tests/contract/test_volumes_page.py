"""The page about volumes, signals and video: its Python runs, on small networks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from helpers.paths import ROOT
from torch import Tensor, nn

PAGE = ROOT / "docs" / "volumes_signals_video.md"


def classifier(conv: nn.Module, pool: nn.Module) -> nn.Module:
    return nn.Sequential(conv, nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, 3)).eval()


class Folding(nn.Module):
    """(B, 3, T, H, W), or (B, T, 3, H, W) if frames come first, -> (B, 3)."""

    def __init__(self, frames_first: bool) -> None:
        super().__init__()
        self.frames_first = frames_first
        self.cnn = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.rnn, self.head = nn.GRU(4, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        frames = x if self.frames_first else x.transpose(1, 2)  # (B, T, 3, H, W)
        seen = self.cnn(frames.flatten(0, 1)).mean((2, 3)).unflatten(0, frames.shape[:2])
        return self.head(self.rnn(seen)[0][:, -1])


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        names = {
            "volume_net": classifier(nn.Conv3d(1, 4, 3, padding=1), nn.AdaptiveAvgPool3d(1)),
            "segmenter": nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, 3, 1)).eval(),
            "signal_net": classifier(nn.Conv1d(2, 4, 5, padding=2), nn.AdaptiveAvgPool1d(1)),
            "picture_net": classifier(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1)),
            "folding_net": Folding(frames_first=False).eval(),
            "frames_first_net": Folding(frames_first=True).eval(),
            "volumes": torch.randn(2, 1, 9, 11, 10),
            "signals": torch.randn(2, 2, 100),
            "pictures": torch.randn(2, 3, 20, 24),
            "videos": torch.randn(2, 3, 8, 12, 10),
        }
    names["frames_first_net"].load_state_dict(names["folding_net"].state_dict())
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    found: dict[str, object] = dict(names)
    maps = []
    for block in blocks:
        exec(block, found)
        maps.append(found.get("maps"))
    assert (tmp_path / "map.gif").stat().st_size > 500
    assert abs(maps[-1] - maps[-2]).max() < 1e-6  # the same network, frames first or channels first
