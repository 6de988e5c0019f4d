"""What all tests share. It imports no torch, which the process that only hands out tests would load for nothing."""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import missing
from helpers.paths import ROOT, SHARED

# Before NumPy or torch is imported. The tests run in one process a core, where a second thread waits for the first.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# Until all tests are collected: what the imports make stays, and to look through it again and again takes seconds.
gc.disable()

sys.path.append(str(ROOT))  # for the folder benchmarks; at the end, so that the installed package is what is tested


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real networks and pictures that lies beside some checkouts."""
    if not (SHARED / "data").is_dir():
        pytest.skip(missing.SHARED)
    return SHARED


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What the package logs during a test, from INFO on; pytest's own way, which is off, costs every test time."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("pytorch_grad_cam")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield messages
    logger.setLevel(level)
    logger.removeHandler(handler)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a picture, for the tests of commands."""
    from helpers.colour_net import red_and_blue  # with torch, which whoever hands out the tests does not need
    from helpers.torchvision_nets import forbid_downloads

    forbid_downloads(monkeypatch, tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the working folder is added to it
    red_and_blue("both.png")
    return tmp_path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's Chromium, for tests with the marker `browser`."""
    from helpers.chromium import launched

    with launched() as browser:
        yield browser


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what the imports made, a million objects that stay."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """Let the interpreter end as usual: libraries complain about what has not been collected."""
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs ../shared, so that it can be run by itself."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none; let all others draw the same numbers, whatever ran before them."""
    if item.get_closest_marker("gpu") is not None:
        import torch  # whoever hands out the tests does not need it

        if not torch.cuda.is_available():
            pytest.skip(missing.GPU)
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


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
