"""What the laws over the table run on: methods that take any network, with few steps where a method makes many."""

from __future__ import annotations

from importlib import import_module

import pytest

from pytorch_grad_cam.methods import METHODS

ANY_NETWORK = {name: method for name, method in METHODS.items() if not method.needs}
FEW = (
    ("opti_cam:OptiCAM", "steps", 3),
    ("ss_cam:SSCAM", "num_samples", 2),
    ("is_cam:ISCAM", "num_samples", 2),
    ("smooth_grad_cam_plusplus:SmoothGradCAMPlusPlus", "num_samples", 2),
)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the defaults; active in every test module that imports this name."""
    for path, argument, value in FEW:
        module, _, name = path.partition(":")
        kind = getattr(import_module(f"pytorch_grad_cam.{module}"), name)
        monkeypatch.setitem(kind.__init__.__kwdefaults__, argument, value)
