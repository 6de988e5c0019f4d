"""What the laws over the table run on: methods that take any network, with few steps where a method makes many."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from pytorch_grad_cam.methods import METHODS

ANY_NETWORK = {name: method for name, method in METHODS.items() if not method.needs}
# One for each way to a map: by weights, blind to the score, by other inputs, by replay, of the input, of every layer,
# around another method. A law that does not ask how a map is made is asked of these, and by `pytest -m again` of all.
ONE_OF_A_KIND = ("gradcam", "eigencam", "scorecam", "ablationcam", "integratedgradients", "fullgrad", "finercam")
FEW = (
    ("opti_cam:OptiCAM", "steps", 3),
    ("ss_cam:SSCAM", "num_samples", 2),
    ("is_cam:ISCAM", "num_samples", 2),
    ("rise:RISE", "num_samples", 50),
    ("integrated_gradients:IntegratedGradients", "steps", 12),
    ("sess:SESS", "num_scales", 3),
    ("smooth_grad_cam_plusplus:SmoothGradCAMPlusPlus", "num_samples", 2),
)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the defaults; active in every test module that imports this name."""
    for path, argument, value in FEW:
        module, _, name = path.partition(":")
        init = getattr(import_module(f"pytorch_grad_cam.{module}"), name).__init__
        if argument in (init.__kwdefaults__ or {}):
            monkeypatch.setitem(init.__kwdefaults__, argument, value)
            continue
        given = [each for each in inspect.signature(init).parameters.values() if each.default is not each.empty]
        positional = [each for each in given if each.kind is each.POSITIONAL_OR_KEYWORD]
        defaults = tuple(value if each.name == argument else each.default for each in positional)
        assert value in defaults, f"{name} has no argument {argument}"
        monkeypatch.setattr(init, "__defaults__", defaults)
