"""Sentences: what they say follows from the numbers, and what these do not decide is not said."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import missing
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam.evaluation import Comparison, compare

COUNT = 12


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return build(ConvNet, seed=1)


@pytest.fixture(scope="module")
def found(net: nn.Module) -> Comparison:
    """A map that is the object, its opposite, and two that are as good as each other but on different images."""
    images = inputs(batch=COUNT, size=(12, 8))
    masks = torch.zeros(COUNT, 12, 8, dtype=torch.bool)
    masks[:, 8:11, 1:3] = True  # not in the middle

    def partly(which: int) -> Any:
        def explain(x: Tensor, targets: Any, model: Any) -> Tensor:
            good = torch.tensor([(int(each * 1000) + which) % 2 == 0 for each in x[:, 0, 0, 0].abs()])
            return torch.where(good[:, None, None], masks[: len(x)].float() + 0.1, 0.5 + 0.1 * masks[: len(x)])

        return explain

    methods = {
        "perfect": lambda x, targets, model: masks[: len(x)].float(),
        "opposite": lambda x, targets, model: 1 - masks[: len(x)].float(),
        "one": partly(0),
        "other": partly(1),
    }
    metrics = ["energy_to_chance", "average_drop"]
    return compare(net, images, methods, metrics=metrics, masks=masks, batch_size=COUNT, progress=False)


def test_who_beats_the_reference_maps(found: Comparison) -> None:
    said = dict(found.verdicts())
    answer = said["Which methods beat the reference maps here?"]
    assert answer.startswith("On these 12 pictures, by energy_to_chance perfect")
    assert "opposite" in answer.partition("; ")[2]
    assert "average_drop" not in answer  # which a map of ones wins
    for other in ("random", "uniform", "centre", "edges"):
        assert found.better("perfect", other, "energy_to_chance") is True
        assert found.better("opposite", other, "energy_to_chance") is not True


def test_the_best_and_what_is_open(found: Comparison) -> None:
    said = dict(found.verdicts())
    assert said["Which is the best?"] == "perfect (energy_to_chance 16.000), which is better than every other one."
    assert found.better("one", "other", "energy_to_chance") is None
    assert said["What does the evidence not decide?"].startswith("1 of 6 pairs of methods; with 12 pictures")
    assert found.best("energy_to_chance") == "perfect"
    assert "Which layer?" not in said


def test_without_a_measure_of_quality_nothing_is_said(net: nn.Module) -> None:
    assert (
        compare(net, inputs(size=(12, 8)), "gradcam", metrics=["gini", "average_drop"], progress=False).verdicts() == []
    )


def test_tables(found: Comparison) -> None:
    lines = found.table().splitlines()
    assert lines[0].split() == ["energy_to_"]
    assert lines[1].split() == ["chance", "↑", "average_drop", "↓", "passes", "ms/map"]
    assert lines[2].split()[:3] == ["perfect", "16.00", "±0.000"]
    html = found._repr_html_()
    assert html.count("<tr>") == 1 + 8
    assert "<b>Which is the best?</b> perfect" in html
    assert str(found).startswith(found.table())


def test_a_plot_has_every_row(found: Comparison) -> None:
    missing.package("matplotlib")
    figure = found.plot()
    assert len(figure.axes) == 2
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels[-1] == "perfect"  # at the top
    assert set(labels) == {row.id for row in found.rows}
    assert len(found.plot("average_drop").axes) == 1
