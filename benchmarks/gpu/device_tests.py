"""Part a: the tests that need a GPU."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu.bench import Bench, Item, Part, Row
from benchmarks.networks import ROOT

BUDGET = 90
NEEDED = ("pytest", "xdist")


def why_not(bench: Bench) -> str | None:
    if not bench.on_gpu:
        return "there is no CUDA device"
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return f"{', '.join(missing)} is not installed" if missing else None


def _run(path: Path) -> list[Row]:
    """Run one file's tests in a process of their own: what they allocate there is theirs."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.xml"
        command = [sys.executable, "-m", "pytest", "-n0", "-m", "gpu", f"--junitxml={found}", "-p", "no:cacheprovider"]
        done = subprocess.run([*command, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=BUDGET)
        if not found.exists():
            raise RuntimeError(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-300:]}")
        (suite,) = ElementTree.parse(found).iter("testsuite")
        cases = list(suite.iter("testcase"))
    bad = {case.get("name"): node.get("message") for case in cases for node in case if node.tag in ("failure", "error")}
    return [
        {
            "tests": str(path.relative_to(ROOT)),
            "passed": len(cases) - len(bad) - int(suite.get("skipped", 0)),
            "failed": len(bad),
            "skipped": int(suite.get("skipped", 0)),
            "seconds": round(float(suite.get("time", 0)), 1),
            "what failed": "; ".join(f"{name}: {(message or '')[:200]}" for name, message in bad.items()),
        }
    ]


def items(bench: Bench) -> Iterator[Item]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "mark.gpu" in path.read_text(encoding="utf-8"):
            yield Item(path.name, lambda path=path: _run(path))


PART = Part("a", "The tests that need a GPU", BUDGET, items, why_not)
