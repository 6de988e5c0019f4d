"""The examples, as modules."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from helpers.paths import ROOT

EXAMPLES = ROOT / "examples"


def example(name: str) -> ModuleType:
    """Return an example, run as it stands in its file."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
