"""What all tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Before NumPy is imported. The tests run in one process a core, where a second thread only waits for the first.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import torch  # noqa: E402
from helpers.paths import ROOT, SHARED  # noqa: E402

sys.path.append(str(ROOT))  # for the folder benchmarks; at the end, so that the installed package is what is tested

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real networks and pictures that lies beside some checkouts."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the real networks and pictures in ../shared, which are not part of the project")
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs ../shared, so that it can be run by itself."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")
