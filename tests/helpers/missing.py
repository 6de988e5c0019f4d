"""Why a test may be skipped: something that it needs is missing, and this is where to get it."""

from __future__ import annotations

from typing import Any

import pytest

NEEDS = "needs "  # how every reason begins; tests/conftest.py fails a test that is skipped for another one
SHARED = (
    "needs the real networks and pictures in ../shared, which are not part of the project; benchmarks/real_data.md "
    "lists their public sources"
)
GPU = "needs a CUDA device; on a machine with one: make gpu"
PACKAGES = {
    "lightning": "pip install lightning",
    "pyarrow": 'pip install ".[parquet]"',
    "datasets": 'pip install ".[datasets]"',
    **dict.fromkeys(("build", "twine"), 'pip install ".[check]"'),
    "open_clip": 'pip install ".[clip]"',
    "mlflow": "pip install mlflow-skinny",
    "wandb": "pip install wandb",
    **dict.fromkeys(("nbclient", "nbformat", "ipykernel", "ipywidgets"), 'pip install ".[notebook]"'),
    **dict.fromkeys(("grad-cam", "torchcam", "captum", "quantus"), "python -m benchmarks.peers"),
    **dict.fromkeys(("segmentation_models_pytorch", "monai", "torchmetrics"), "python -m benchmarks.peers"),
}


def package(module: str) -> Any:
    """Return a module of an optional package, or skip the test that asks."""
    return pytest.importorskip(module, reason=reason(module.partition(".")[0]))


def reason(name: str) -> str:
    """Return why a test is skipped where a package is missing."""
    command = PACKAGES.get(name, 'pip install ".[test]"')
    return f"{NEEDS}the package {name}: {command}"
