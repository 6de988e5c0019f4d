"""The tests that grad-cam publishes pass with our package: `pytest -m network tests/contract/test_published.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.paths import ROOT

from benchmarks import published_tests


@pytest.mark.network
@pytest.mark.slow
def test_the_published_tests_pass(tmp_path: Path) -> None:
    published_tests.fetch(tmp_path)
    result = published_tests.run(tmp_path)
    assert result.where.is_relative_to(ROOT)
    assert result.passed + len(result.failed) == published_tests.TESTS
    assert result.failed.keys() == published_tests.IMPOSSIBLE.keys(), result.failed
