"""What is said when no network has the name that is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import missing

from pytorch_grad_cam.models.load import load_model


def test_networks() -> None:
    with pytest.raises(ValueError, match=r"'resnet5' is unknown; did you mean resnet50 .*\? Known are shapes"):
        load_model("resnet5")


def test_networks_of_timm() -> None:
    missing.package("timm")
    with pytest.raises(ValueError, match=r"no network 'nosuch'; names look like resnet18 .* timm.list_models\(\)"):
        load_model("timm/nosuch")
    with pytest.raises(ValueError, match=r"no network 'resnet5'; did you mean resnet50 or .*\? timm.list_models"):
        load_model("timm/resnet5")


def test_networks_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing.package("transformers")
    hub = missing.package("huggingface_hub")
    asked = []

    def model_info(self: Any, name: str, timeout: float) -> None:
        asked.append((name, timeout))
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(hub.HfApi, "model_info", model_info)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"'nosuch/at-all' \(it is not on this machine, .* not known\); give a"):
        load_model("hf/nosuch/at-all")
    assert asked == [("nosuch/at-all", 10)]  # once; a download would have been tried six times
