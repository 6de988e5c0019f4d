"""Run the tests that grad-cam publishes with our package: `python -m benchmarks.published_tests`, or `make published`.

The tests come from the index, as source distribution, into a temporary folder, and are not part of this project. Where
they download weights they get random ones of the same shape, and a random picture where they read one of theirs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.networks import ROOT

RELEASE = "1.5.7"
TESTS = 249  # of that release; so that none is lost unnoticed
NEEDS = ("psutil",)  # what the tests import and we do not need
# What cannot pass, and why.
IMPOSSIBLE = {
    "test_finer_cam_correctness.test_finercam_htcore_is_single_underscore": (
        "looks for a line of their source file; ours has no code for that accelerator"
    ),
}
CONFTEST = """
import functools
import os

import cv2
import numpy as np
import torch
import torchvision
from torchvision.models._api import WeightsEnum


@functools.lru_cache
def random_weights(name):
    torch.manual_seed(0)
    return torchvision.models.get_model(name).state_dict()


WeightsEnum.get_state_dict = lambda self, *args, **kwargs: random_weights(
    type(self).__name__.removesuffix("_Weights").lower()
)
torch.set_num_threads(1)
if not os.path.exists("examples/both.png"):
    os.makedirs("examples", exist_ok=True)
    coarse = np.random.RandomState(0).uniform(0, 255, (8, 8, 3)).astype(np.uint8)
    cv2.imwrite("examples/both.png", cv2.resize(coarse, (224, 224), interpolation=cv2.INTER_CUBIC))
"""


@dataclass(frozen=True)
class Result:
    """How the published tests ended.

    Attributes:
        passed: how many passed.
        failed: the first line of what they said, by name.
        where: the file of our package that was tested.
    """

    passed: int
    failed: dict[str, str]
    where: Path


def fetch(folder: Path) -> None:
    """Put the published tests and what they need into a folder."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    download = ["download", f"grad-cam=={RELEASE}", "--no-deps", "--no-binary", "grad-cam", "--dest", str(folder)]
    subprocess.run([*pip, *download], check=True)
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "needs"), *NEEDS], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        for member in source.getmembers():
            parts = Path(member.name).parts
            if len(parts) == 3 and parts[1] == "tests" and member.isfile():
                member.name = "/".join(parts[1:])
                source.extract(member, folder, filter="data")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")


def run(folder: Path, *options: str) -> Result:
    """Run what ``fetch`` fetched with the package of this repository."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(folder / "needs")])
    report = folder / "report.xml"
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-n", "auto", f"--junitxml={report}", *options, "tests"]
    subprocess.run(command, cwd=folder, env=environment, check=False, stdout=sys.stderr)
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {}
    for case in cases:
        for problem in (*case.findall("failure"), *case.findall("error"), *case.findall("skipped")):
            name = f"{case.get('classname', '').removeprefix('tests.')}.{case.get('name')}"
            failed[name] = str(problem.get("message", "")).partition("\n")[0]
    where = "import pytorch_grad_cam; print(pytorch_grad_cam.__file__)"
    shown = subprocess.run(
        [sys.executable, "-P", "-c", where], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return Result(len(cases) - len(failed), failed, Path(shown.stdout.strip()))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fetch(Path(folder))
        result = run(Path(folder), *sys.argv[1:])
    print(f"{result.passed} of {result.passed + len(result.failed)} published tests of grad-cam {RELEASE} pass")
    for name, message in result.failed.items():
        print(f"{name}: {IMPOSSIBLE.get(name, message)}")
    raise SystemExit(result.failed.keys() != IMPOSSIBLE.keys() or result.passed + len(result.failed) != TESTS)


if __name__ == "__main__":
    main()
