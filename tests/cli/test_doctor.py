"""`cam doctor`: missing extras are no error, a map that lies elsewhere is."""

from __future__ import annotations

from importlib import metadata

import pytest
from helpers.colour_net import described

from pytorch_grad_cam.cli import doctor
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.models import load


def test_it_says_what_is_here_and_tries_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert f"torch {metadata.version('torch')}" in " ".join(printed.split())
    assert "self-test:  passed" in printed
    assert "cpu (" in printed


def test_a_missing_extra_is_no_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ['nosuch>=1; extra == "dream"', "torch>=2"])
    assert main(["doctor"]) == 0
    assert 'nosuch missing; pip install "tracelesscam[dream]"' in capsys.readouterr().out


def test_a_missing_package_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_NEEDED", ("torch", "nosuch"))
    assert main(["doctor"]) == 1
    assert "missing: nosuch; pip install nosuch" in capsys.readouterr().err


def test_maps_that_lie_elsewhere_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def backwards(map, size):  # type: ignore[no-untyped-def]
        return 1 - placed(map, size)

    kind = type(described().preprocessing)
    placed = kind.to_picture.__get__(load.load_model("shapes").preprocessing)
    monkeypatch.setattr(kind, "to_picture", lambda self, map, size: backwards(map, size))
    assert main(["doctor"]) == 1
    assert "self-test: the map of 'star' has" in capsys.readouterr().err


def test_packages_that_get_in_the_way(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    others = {"grad-cam": "1.5.7", "opencv-python": "4.9"}
    monkeypatch.setattr(doctor.metadata, "version", lambda name: others.get(name) or real(name))
    assert main(["doctor"]) == 0
    said = capsys.readouterr().err
    assert "grad-cam 1.5.7 is installed, which has the same import name" in said
    assert "opencv-python-headless and opencv-python are installed" in said
