"""What a classifier's scores are: by its own statement, by what it ends in, by values; and what shares come of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.tiny_nets import inputs
from torch import Tensor, nn

from pytorch_grad_cam.cli.arguments import SCORES
from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.targets.score_kinds import SCORE_KINDS, ScoreKind, score_kind

WITHIN = (0.2, 0.6, 0.9)  # scores that could as well be shares


class Fixed(nn.Module):
    """Returns a function of the same scores for every picture; the function comes after a linear layer."""

    def __init__(self, scores: tuple[float, ...], end: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.head, self.end = nn.Linear(2, len(scores)), end
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.copy_(torch.tensor(scores))

    def forward(self, x: Tensor) -> Any:
        x -= x.mean()  # its own input, in place
        return self.end(self.head(x.mean((2, 3))))


CASES: dict[str, tuple[tuple[float, ...], Callable[[Tensor], Any], str, bool]] = {
    "logits": ((-1.0, 0.5, 3.0), lambda y: y, "softmax", False),
    "logits that could be shares": (WITHIN, lambda y: y, "softmax", False),
    "logits that sum to 1": ((0.2, 0.3, 0.5), lambda y: y, "softmax", False),
    "a softmax": ((-1.0, 0.5, 3.0), lambda y: y.softmax(1), "softmax", True),
    "a softmax in half precision": ((-1.0, 0.5, 3.0), lambda y: y.softmax(1).half(), "softmax", True),
    "a logarithm of a softmax": ((-1.0, 0.5, 3.0), lambda y: y.log_softmax(1), "softmax", False),
    "a sigmoid": ((-1.0, 0.5, 3.0), torch.sigmoid, "multi-label", True),
    "parts": ((-1.0, 0.5, 3.0), lambda y: torch.cat([one.sigmoid() for one in y.split(1, 1)], 1), "multi-label", True),
    "a mean": ((-1.0, 0.5, 3.0), lambda y: torch.stack([y.sigmoid(), y.sigmoid()]).mean(0), "multi-label", True),
    "a sigmoid in a dict": ((-1.0, 0.5, 3.0), lambda y: {"logits": y.sigmoid()}, "multi-label", True),
    "values in 0..1 of who knows what": ((-1.0, 0.5, 3.0), lambda y: (y / 6 + 0.5).clamp(0, 1), "multi-label", True),
    "values without a graph": ((-1.0, 0.5, 3.0), lambda y: y.sigmoid().detach(), "multi-label", True),
    "what a graph forbids": ((-1.0, 0.5, 3.0), lambda y: torch.from_numpy(y.numpy()), "softmax", False),
    "one logit": ((0.5,), lambda y: y, "sigmoid", False),
    "one logit without an axis": ((0.5,), lambda y: y.squeeze(1), "sigmoid", False),
    "one sigmoid": ((0.5,), torch.sigmoid, "sigmoid", True),
    "one of two of a softmax": ((0.0, 0.5), lambda y: y.softmax(1)[:, 1], "sigmoid", True),
    "no and yes": ((0.5,), lambda y: torch.cat([1 - y.sigmoid(), y.sigmoid()], 1), "softmax", True),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_seen_from_the_network(case: str) -> None:
    scores, end, name, are_shares = CASES[case]
    x = inputs()
    before = x.clone()
    found = score_kind(Fixed(scores, end), x)
    assert (found.name, found.are_shares) == (name, are_shares)
    assert torch.equal(x, before)


def test_shares_by_hand() -> None:
    exp = [math.exp(score) for score in WITHIN]
    softmax = [each / sum(exp) for each in exp]
    sigmoid = [1 / (1 + math.exp(-score)) for score in WITHIN]
    scores = torch.tensor(WITHIN)
    for kind, expected in (
        (ScoreKind("softmax", 3), softmax),
        (ScoreKind("sigmoid", 3), sigmoid),
        (ScoreKind("multi-label", 3), sigmoid),
        (ScoreKind("multi-label", 3, are_shares=True), WITHIN),
        (ScoreKind("none", 3), WITHIN),
    ):
        assert kind.shares(scores).tolist() == pytest.approx(list(expected))
    assert [index for index, _ in ScoreKind("softmax", 3).seen(scores, 2)] == [2, 1]
    assert [index for index, _ in ScoreKind("multi-label", 3, are_shares=True).seen(scores, 1)] == [
        2,
        1,
    ]  # above a half
    (yes, share), (no, rest) = ScoreKind("sigmoid", 1).seen(torch.tensor([1.0]), 5)
    assert (yes, no) == (1, 0)
    assert (share, rest) == pytest.approx((1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))))
    assert ScoreKind("sigmoid", 1, are_shares=True).shares(torch.tensor([0.2])).tolist() == pytest.approx([0.8, 0.2])


def test_a_statement_comes_first() -> None:
    net, x = Fixed((-1.0, 0.5, 3.0), torch.sigmoid), inputs()
    for stated, are_shares in (("softmax", True), ("sigmoid", True), ("multi-label", True), ("none", False)):
        found = score_kind(net, x, stated)
        assert (found.name, found.are_shares, found.reason) == (stated, are_shares, "as stated")
    net = Fixed((-1.0, 0.5, 3.0), lambda y: y)
    net.config = SimpleNamespace(problem_type="multi_label_classification")  # as transformers has it
    assert score_kind(net, x).name == "multi-label"
    assert score_kind(net, x, "softmax").name == "softmax"
    net.config = SimpleNamespace(problem_type=None)
    assert score_kind(net, x).name == "softmax"


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="the scores 'logits' are unknown; give one of softmax, sigmoid"):
        score_kind(Fixed(WITHIN, lambda y: y), inputs(), "logits")
    with pytest.raises(ValueError, match="a softmax of the network's one score is 1"):
        score_kind(Fixed((0.5,), lambda y: y), inputs(), "softmax")
    with pytest.raises(NoScoresError, match="not one score per class"):
        score_kind(nn.Conv2d(2, 3, 1), inputs())


def test_the_command_line_offers_the_same() -> None:
    assert SCORES == SCORE_KINDS
