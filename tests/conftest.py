"""What all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

# Before NumPy is imported. The tests run in one process a core, where a second thread only waits for the first.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import torch  # noqa: E402
from helpers import missing  # noqa: E402
from helpers.paths import ROOT, SHARED  # noqa: E402

sys.path.append(str(ROOT))  # for the folder benchmarks; at the end, so that the installed package is what is tested

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real networks and pictures that lies beside some checkouts."""
    if not (SHARED / "data").is_dir():
        pytest.skip(missing.SHARED)
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs ../shared, so that it can be run by itself."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what is skipped for another reason than that something is missing.

    Where PYTEST_ONLY_SHARED_MAY_BE_MISSING is set, as in `.ci/run`, nothing but ../shared may be.
    """
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and not hasattr(report, "wasxfail"):
        allowed = missing.SHARED if "PYTEST_ONLY_SHARED_MAY_BE_MISSING" in os.environ else missing.NEEDS
        if not report.longrepr[2].removeprefix("Skipped: ").startswith(allowed):
            report.outcome = "failed"
            report.longrepr = f"a test may be skipped only if it {allowed}...; this one was: {report.longrepr[2]}"
    return report
