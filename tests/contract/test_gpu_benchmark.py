"""`python -m benchmarks.gpu`: each part runs or says why not, and what was found is written for people and programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import aims, device_tests, equality
from benchmarks.gpu.bench import Bench, Item, Part, Result, run_part
from pytorch_grad_cam.methods import METHODS

CPU = Bench(torch.device("cpu"), smoke=True)


def test_a_try_on_the_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM_PEERS", str(tmp_path / "none"))
    assert gpu.main(["--smoke", "--output", str(tmp_path)]) == 0
    page, found = (tmp_path / "gpu.md").read_text("utf-8"), json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert page.strip() in capsys.readouterr().out
    assert found["about"]["torch"] == torch.__version__
    parts = found["parts"]
    assert list(parts) == list(gpu.PARTS) == list("abcdef")
    assert {name for name, part in parts.items() if part["skipped"]} == {"a", "e"}
    assert parts["a"]["skipped"] == "there is no CUDA device"
    assert "grad_cam" in parts["e"]["skipped"]
    for name in "bcdf":
        assert parts[name]["rows"], name
        assert not parts[name]["failed"]
        assert f"## {name}. {gpu.PARTS[name].title}" in page
    assert all(row["float64 met"] and row["float32 met"] for row in parts["b"]["rows"])
    assert {row["network"] for row in parts["c"]["rows"]} == {"resnet20", "vit_32"}
    assert all(aim["met"] is None for aim in found["aims"]), "a try meets no aim"


def test_one_part_alone(tmp_path: Path) -> None:
    assert gpu.main(["--smoke", "--only", "a", "--output", str(tmp_path)]) == 0
    assert list(json.loads((tmp_path / "gpu.json").read_text("utf-8"))["parts"]) == ["a"]


def test_without_a_device_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--output", str(tmp_path / "none")]) == 2
    assert "--smoke tries everything on the CPU" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_what_has_no_time_is_said_and_what_fails_too() -> None:
    def items(bench: Bench) -> Iterator[Item]:
        yield Item("good", lambda: [{"number": 1}])
        yield Item("bad", lambda: [][0])

    result = run_part(Part("x", "title", 60, items), CPU, lambda line: None)
    assert result.rows == [{"number": 1}]
    assert result.failed == {"bad": "IndexError: list index out of range"}
    late = run_part(Part("x", "title", -1, items), CPU, lambda line: None)
    assert (late.rows, late.left_out) == ([], ["good", "bad"])


def test_all_parts_fit_into_eight_minutes() -> None:
    assert sum(part.budget for part in gpu.PARTS.values()) <= 8 * 60 - 60  # a part ends with what it has begun


def test_aims_by_hand() -> None:
    rows = [
        {"network": "resnet50", "method": "gradcam", "batch": 64, "ratio": 1.04, "more memory": 0.2},
        {"network": "resnet50", "method": "gradcam", "batch": 8, "ratio": 3.0, "more memory": 3.0},
    ]
    runs = [{"of plain": 0.95}, {"of plain": 0.89}]
    found = aims.judged({"c": Result("", rows=rows), "f": Result("", rows=runs)}, Bench(torch.device("cpu")))
    assert [(aim["measured"], aim["met"]) for aim in found] == [
        (1.04, True),
        (0.2, False),
        (None, None),
        (None, None),
        (0.89, False),
    ]


def test_the_tests_of_a_gpu_are_found() -> None:
    found = [item.label for item in device_tests.items(CPU)]
    assert {"test_gpu.py", "test_twins.py", "test_video.py", "test_cli.py"} <= set(found)


@pytest.mark.slow
def test_every_method_can_be_compared() -> None:
    """On two times the CPU, where all differences are 0: what a GPU is asked runs, for every method."""
    result = run_part(equality.PART, Bench(torch.device("cpu")), lambda line: None)
    assert not result.failed
    assert {row["method"] for row in result.rows} | set(result.left_out) == set(METHODS)
