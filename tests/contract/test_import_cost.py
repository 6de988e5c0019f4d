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
TARGETS = {"targets", "targets.spec", "targets.derived", "targets.classification"}  # those of a classifier


STEPS = {  # one after the other in one interpreter, which loads torch once
    "the package": f"import {PACKAGE}, {PACKAGE}.methods",
    "torch and NumPy": "import torch, numpy",
    "Grad-CAM": f"from {PACKAGE} import GradCAM",
    "another method": f"from {PACKAGE} import EigenCAM",
    "a map": "n = torch.nn; net = n.Sequential(n.Conv2d(1, 2, 3), n.ReLU(), n.Flatten(), n.Linear(72, 2)).eval(); "
    "GradCAM(net, [net[1]])(torch.eye(8)[None, None], 1)",
    "files": f"import {PACKAGE}.data.images, {PACKAGE}.data.preprocessing",
    "names": "p = pytorch_grad_cam; p.layer_cam.LayerCAM, p.utils.model_targets.SoftmaxOutputTarget(), p.utils.image",
}


@pytest.fixture(scope="module")
def loaded_by() -> dict[str, set[str]]:
    """The modules that each step loads in a fresh interpreter, beside those of the steps before it."""
    code = "import sys\n" + "".join(
        f"before = {{*sys.modules}}\n{statement}\nprint(*{{*sys.modules}} - before)\n" for statement in STEPS.values()
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return dict(zip(STEPS, map(set, map(str.split, result.stdout.split("\n"))), strict=False))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def own_modules(loaded_by: dict[str, set[str]]) -> set[str]:
    """The modules of ours that Grad-CAM needs, without the package's name in front; the package itself is ""."""
    loaded = loaded_by["the package"] | loaded_by["Grad-CAM"]
    return {name.removeprefix(PACKAGE).removeprefix(".") for name in loaded if name.partition(".")[0] == PACKAGE}


def test_importing_the_package_is_nearly_free(loaded_by: dict[str, set[str]]) -> None:
    loaded = packages(loaded_by["the package"])
    assert PACKAGE in loaded
    assert not loaded & {"torch", "numpy", "torchvision", "cv2"}


def test_importing_a_method_loads_torch_and_numpy_only(loaded_by: dict[str, set[str]]) -> None:
    loaded = packages(loaded_by["Grad-CAM"] | loaded_by["another method"])
    assert PACKAGE in loaded
    assert not {name for name in loaded - LIGHT if not name.startswith("_")}


def test_a_map_loads_no_library(loaded_by: dict[str, set[str]]) -> None:
    loaded = loaded_by["a map"]
    assert f"{PACKAGE}.engine.layout" in loaded
    assert not {name for name in packages(loaded) - LIGHT if not name.startswith("_")}  # such as sympy: 0.4 s
    assert len(loaded) < 50


def test_reading_settings_and_files_loads_no_optional_package(loaded_by: dict[str, set[str]]) -> None:
    loaded = set[str]().union(*(loaded_by[step] for step in list(STEPS)[: list(STEPS).index("files") + 1]))
    assert f"{PACKAGE}.data.images" in loaded
    assert not packages(loaded) & {"cv2", "PIL", "torchvision", "matplotlib"}


def test_modules_are_there_without_being_imported(loaded_by: dict[str, set[str]]) -> None:
    assert {f"{PACKAGE}.layer_cam", f"{PACKAGE}.utils.model_targets"} <= loaded_by["names"]


def test_grad_cam_loads_nothing_of_other_rooms(own_modules: set[str]) -> None:
    assert "grad_cam" in own_modules
    assert not {name for name in own_modules if name.partition(".")[0] in ROOMS}


def test_grad_cam_loads_no_targets_but_those_of_a_classifier(own_modules: set[str]) -> None:
    assert {name for name in own_modules if name.partition(".")[0] == "targets"} <= TARGETS


def test_grad_cam_loads_few_modules(own_modules: set[str]) -> None:
    assert len(own_modules) <= 31, sorted(own_modules)
