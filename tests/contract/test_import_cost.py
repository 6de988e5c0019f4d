"""What an import loads, counted in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers.paths import ROOT

PACKAGE = "pytorch_grad_cam"
LIGHT = {"torch", "numpy", PACKAGE} | set(sys.stdlib_module_names)
# What Grad-CAM does not need: drawing, files, networks by name, runs over many pictures, commands.
ROOMS = ("visualization", "data", "models", "metrics", "runs", "evaluation", "nnc", "cli")
TARGETS = {"targets", "targets.spec", "targets.classification"}  # those of a classifier


def loaded_by(statement: str, beside: str = "") -> set[str]:
    """Return the modules that a statement loads in a fresh interpreter, ``beside`` those of another statement."""
    code = f"import sys\n{beside}\nbefore = {{*sys.modules}}\n{statement}\nprint(*{{*sys.modules}} - before)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(result.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def own_modules() -> set[str]:
    """The modules of ours that Grad-CAM needs, without the package's name in front; the package itself is ""."""
    loaded = loaded_by(f"from {PACKAGE} import GradCAM")
    return {name.removeprefix(PACKAGE).removeprefix(".") for name in loaded if name.partition(".")[0] == PACKAGE}


def test_importing_the_package_is_nearly_free() -> None:
    loaded = packages(loaded_by(f"import {PACKAGE}, {PACKAGE}.methods"))
    assert PACKAGE in loaded
    assert not loaded & {"torch", "numpy", "torchvision", "cv2"}


def test_importing_a_method_loads_torch_and_numpy_only() -> None:
    loaded = packages(loaded_by(f"from {PACKAGE} import GradCAM, EigenCAM", beside="import torch, numpy"))
    assert PACKAGE in loaded
    assert not {name for name in loaded - LIGHT if not name.startswith("_")}


def test_grad_cam_loads_nothing_of_other_rooms(own_modules: set[str]) -> None:
    assert "grad_cam" in own_modules
    assert not {name for name in own_modules if name.partition(".")[0] in ROOMS}


def test_grad_cam_loads_no_targets_but_those_of_a_classifier(own_modules: set[str]) -> None:
    assert {name for name in own_modules if name.partition(".")[0] == "targets"} <= TARGETS


def test_grad_cam_loads_few_modules(own_modules: set[str]) -> None:
    assert len(own_modules) <= 29, sorted(own_modules)
