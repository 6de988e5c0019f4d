"""Maps while a network learns: after every epoch, under checkpointing, and in one of several processes."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.paths import ROOT
from helpers.tiny_nets import build, inputs
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pytorch_grad_cam import AblationCAM, FullGrad, GradCAM, GuidedGradCAM, ShapleyCAM, SmoothGrad

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


class Checkpointed(nn.Module):
    """Keeps no activations of its blocks, and runs them again in the backward pass."""

    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3), nn.ReLU())
        self.head = nn.Linear(6, 3)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        for block in (self.first, self.second):
            plain = self.reentrant is None
            x = block(x) if plain else checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x.mean((2, 3)))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # says torch of re-entrant ones
@pytest.mark.parametrize("layer", ["first", "first.0", "second.0", "second"])
@pytest.mark.parametrize(
    "method", [GradCAM, ShapleyCAM, AblationCAM, GuidedGradCAM, FullGrad, SmoothGrad], ids=lambda each: each.__name__
)
def test_checkpointing(method: Any, layer: str) -> None:
    plain, x = build(Checkpointed, None), inputs()
    net, old = copy.deepcopy(plain), copy.deepcopy(plain)
    net.reentrant, old.reentrant = False, True
    given = [] if method is SmoothGrad else [layer]
    expected = method(plain, *given).explain(x, 1, relu=False)
    found = method(net, *given).explain(x, 1, relu=False)
    torch.testing.assert_close(found.maps, expected.maps)
    if method is AblationCAM:  # needs no gradient
        torch.testing.assert_close(method(old, layer).explain(x, 1, relu=False).maps, expected.maps)
        return
    with pytest.raises(RuntimeError, match=r"re-?entrant.*use_reentrant=False"):
        method(old, *given).explain(x, 1, relu=False)


@pytest.mark.slow
def test_one_of_two_processes_explains(tmp_path: Path) -> None:
    """The other does not wait, and both learn the same as without a map."""
    program = [sys.executable, "-m", "helpers.distributed_worker"]
    places = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    running = [
        subprocess.Popen([*program, str(rank), str(tmp_path)], env=places, stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=100)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    zero, one = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for name, value in zero["explaining"].items():
        assert torch.equal(value, one["explaining"][name])
        assert torch.equal(value, zero["plain"][name])
    torch.testing.assert_close(zero["maps"], zero["expected"])
