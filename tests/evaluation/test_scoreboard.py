"""The scoreboard is made of comparisons, and goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from helpers.tiny_nets import ConvNet, build

from benchmarks import scoreboard
from benchmarks.scoreboard_cases import AGAIN, FAITHFULNESS, OF_OBJECTS, Board, Part, Sizes, boards
from pytorch_grad_cam.evaluation.batches import ImageBatch
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.metrics.table import METRICS


def batches() -> list[ImageBatch]:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(4, 16, 16, dtype=torch.bool)
    masks[:, 2:9, 3:12] = True
    return [ImageBatch(torch.rand(4, 2, 16, 16, generator=generator), [0, 1, 0, 1], masks)]


def board() -> Board:
    groups = {"first": [True, True, False, False], "last": [False, False, True, True]}
    parts = [
        Part("all", ["gradcam", "layercam", "randomcam"], (*OF_OBJECTS, *FAITHFULNESS), batches, groups=lambda: groups),
        Part("again", ["gradcam"], ("max_sensitivity",), batches),
    ]
    return Board("tiny", "A tiny network", "Four pictures.", lambda: build(ConvNet), parts)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[scoreboard.Measured]:
    return scoreboard.measure(board(), tmp_path_factory.mktemp("work"), seed=0)


def test_cells_are_the_comparisons(measured: list[scoreboard.Measured]) -> None:
    lines = scoreboard.document([(board(), measured)], "this", {}).splitlines()
    heads = next(line for line in lines if line.startswith("| method | energy to chance")).split(" | ")
    row = next(line for line in lines if line.startswith("| `layercam` |")).split(" | ")
    found = measured[0].comparison.interval(measured[0].comparison.row("layercam").id, "deletion")
    assert heads[4] == "deletion ↓ (n = 4)"
    assert row[4] == f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
    assert row[6] == "-"  # max sensitivity was not measured of it
    mean = np.nanmean(measured[0].comparison.row("layercam").values["deletion"])
    assert row[4].startswith(f"{mean:.2f} ")


def test_every_parameter_is_said(measured: list[scoreboard.Measured]) -> None:
    text = scoreboard.document([(board(), measured)], "this", {})
    for words in (
        "steps = 28, fill = blur",
        "radius = 0.02",
        "seed = 0",
        "resamples = 2000",
        "| tiny, again | 4 | 1 |",
    ):
        assert words in text


def test_situations_are_means_of_groups(measured: list[scoreboard.Measured]) -> None:
    lines = scoreboard.document([(board(), measured)], "this", {}).splitlines()
    start = lines.index("### Energy to chance by situation")
    row = next(line for line in lines[start:] if line.startswith("| `gradcam`")).split(" | ")
    values = measured[0].comparison.row("gradcam").values["energy_to_chance"]
    assert [cell.split()[0] for cell in row[1:]] == [f"{np.nanmean(part):.2f}" for part in (values[:2], values[2:])]


def test_pairs_with_the_anchor(measured: list[scoreboard.Measured]) -> None:
    comparison = measured[0].comparison
    text = scoreboard.document([(board(), measured)], "this", {})
    line = next(line for line in text.splitlines() if line.startswith("- insertion: "))
    words = {True: "better ", False: "worse ", None: "not decided: "}
    for name in ("layercam", "randomcam"):
        said = words[comparison.better(comparison.row(name).id, comparison.row("gradcam").id, "insertion")]
        assert any(f"`{name}`" in part for part in line.partition(": ")[2].split("; ") if part.startswith(said))


def test_plots(measured: list[scoreboard.Measured]) -> None:
    plots = scoreboard.plots_of(board(), measured)
    assert set(plots) == {"tiny_passes", "tiny_localisation"}
    for plot in plots.values():
        titles = [title.text or "" for title in ElementTree.fromstring(plot).iter("{http://www.w3.org/2000/svg}title")]
        assert any(title.startswith("gradcam: ") for title in titles)


def test_every_method_is_in_a_table() -> None:
    of_shapes, *_ = boards(Sizes(), shared=False)
    everywhere = {name for board in boards(Sizes(), shared=True) for part in board.parts for name in part.methods}
    assert everywhere == set(METHODS)
    wanted = {*OF_OBJECTS, *FAITHFULNESS, "gridpg", *AGAIN} & set(METRICS)
    assert {metric for part in of_shapes.parts for metric in part.metrics} == wanted


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    arguments = ["--quick", "--methods", "gradcam", "--work", str(tmp_path / "work"), "--output"]
    scoreboard.main([*arguments, str(tmp_path / "first" / "scoreboard.md")])
    scoreboard.main([*arguments, str(tmp_path / "second" / "scoreboard.md")])
    names = ["scoreboard.md", "scoreboard/shapes_passes.svg", "scoreboard/shapes_localisation.svg"]
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_it_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the maps that were measured in this run; those of the journal came at once."""
    said: list[str] = []
    monkeypatch.setattr(scoreboard.log, "info", lambda text, *values: said.append(text % values))
    now = [0.0]
    remaining = scoreboard.Remaining("tiny: all", lambda: now[0])
    remaining(500, 1000)  # of the journal
    for done in range(510, 560, 10):
        now[0] += 30  # three seconds for each map
        remaining(done, 1000)
    assert said[0] == "tiny: all"
    assert said[1:] == [
        "tiny: all: 520 of 1000 maps, about 24 minutes left",
        "tiny: all: 540 of 1000 maps, about 23 minutes left",
    ]
