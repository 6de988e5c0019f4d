"""Shares of scores: softmax, sigmoid, or what the network gives already."""

from __future__ import annotations

import math

import pytest
import torch

from pytorch_grad_cam.targets.score_kinds import MULTI_LABEL, class_shares


def test_shares() -> None:
    def shares(*rows: list[float], multi_label: bool = False) -> list[list[float]]:
        found = class_shares(torch.tensor(rows), MULTI_LABEL if multi_label else None)
        assert found is not None
        return found.tolist()

    e = math.exp(2)
    assert shares([0.0, 2.0])[0] == pytest.approx([1 / (1 + e), e / (1 + e)])
    assert shares([0.0, 2.0], multi_label=True)[0] == pytest.approx([0.5, e / (1 + e)])
    assert shares([0.25, 0.75])[0] == [0.25, 0.75]
    assert shares([0.75, 0.5])[0] == [0.75, 0.5]  # sigmoids already
    assert shares([2.0])[0] == pytest.approx([1 / (1 + e), e / (1 + e)])  # no and yes
    assert shares([0.25])[0] == [0.75, 0.25]


@pytest.mark.parametrize("outputs", [None, [1.0], torch.zeros(1, 2, 3), torch.zeros(2), torch.tensor([[1, 2]])])
def test_no_classification(outputs: object) -> None:
    assert class_shares(outputs) is None
