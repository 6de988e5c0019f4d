"""The examples run, and show what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.examples import EXAMPLES, example
from helpers.paths import ROOT

pytestmark = pytest.mark.again

SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if path.name != "__init__.py")
TESTS = (Path(__file__), ROOT / "tests" / "integrations" / "test_examples_with.py")


def test_every_example_has_a_test() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in TESTS)
    assert len(SCRIPTS) >= 7
    for script in SCRIPTS:
        assert f'example("{script.stem}")' in source
        assert len(script.read_text(encoding="utf-8").splitlines()) <= (15 if script.stem.startswith("with_") else 50)


def test_one_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "map.jpg"
    example("one_picture").main(output)
    assert output.stat().st_size > 1000
    assert "layer stage4" in capsys.readouterr().out


def test_training_with_maps_is_bit_for_bit_training_without() -> None:
    training_loop = example("training_loop")
    with_maps, losses, maps = training_loop.train(2, draw=True, images=8)
    state = torch.get_rng_state()
    without, same_losses, no_maps = training_loop.train(2, draw=False, images=8)
    assert len(maps) == 2
    assert not no_maps
    assert losses == same_losses
    assert torch.equal(state, torch.get_rng_state())
    for (name, one), (_, other) in zip(with_maps.state_dict().items(), without.state_dict().items(), strict=True):
        assert torch.equal(one, other), name


def test_segmentation(capsys: pytest.CaptureFixture[str]) -> None:
    maps = example("segmentation").main()
    assert {name: map.shape for name, map in maps.items()} == dict.fromkeys(maps, (96, 128))
    assert all(map.any() for map in maps.values())
    assert "is explained in its region, the left half, one point" in capsys.readouterr().out


def test_detection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("detection").main(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000
    assert "shows 3 objects" in capsys.readouterr().out


def test_own_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("own_method").main().shape == (1, 128, 128)
    assert "times the mean of the map" in capsys.readouterr().out


def test_signal_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert abs(example("signal_map").main(tmp_path / "map.png") - 230) <= 1
    assert "at 2.3" in capsys.readouterr().out
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_volume_map(tmp_path: Path) -> None:
    found = example("volume_map").main(tmp_path / "map.png")
    assert found[5, 10, 10] > 0.8
    assert found[14, 20, 28] < -0.8
    assert abs(found[10, 4, 35]) < 0.05
    assert (tmp_path / "map.png").stat().st_size > 1000
