"""docs/methods/*.md: the Python of every page runs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers.methods_for_any_network import few_steps  # noqa: F401 - the fixture
from helpers.paths import ROOT
from helpers.tiny_nets import ConvNet, GapLinear, TinyViT, build, inputs

from pytorch_grad_cam.methods import METHODS


@pytest.mark.filterwarnings("ignore:.*not every map means something")
@pytest.mark.parametrize("name", METHODS)
def test_the_python_of_a_page_runs(name: str) -> None:
    page = (ROOT / "docs" / "methods" / f"{METHODS[name].module}.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    network = GapLinear if METHODS[name].needs == "pooled head" else ConvNet
    names: dict[str, Any] = {"model": build(network), "vit": build(TinyViT), "input_tensor": inputs(size=(6, 10))}
    exec(block, names)
    assert names["maps"].shape == (2, 6, 10)
