"""What all tests share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

sys.path.append(str(ROOT))  # for the folder benchmarks; at the end, so that the installed package is what is tested

torch.set_num_threads(1)  # the networks are tiny: a second thread would only wait for the first


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real networks and pictures that lies beside some checkouts."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the real networks and pictures in ../shared, which are not part of the project")
    return SHARED
