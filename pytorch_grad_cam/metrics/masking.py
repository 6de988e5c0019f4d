"""Metrics that multiply the image by its map: what the map marks stays, the rest goes to 0.

After the usual normalisation 0 is the mean colour of the training set, not black. A map of ones changes nothing, so
none of these says anything alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import Metric

TINY = 1e-8  # of a score or of what is missing to 1; smaller ones have no share


def score_kept(case: Case) -> Tensor:
    """Return ``s(x M)``: ``(B,)``."""
    return case.scores_of_versions("mask", ["kept"], lambda rows, _: case.inputs[rows] * _weights(case, rows))[:, 0]


def score_deleted(case: Case) -> Tensor:
    """Return ``s(x (1 - M))``: ``(B,)``."""
    return case.scores_of_versions("mask", ["deleted"], lambda rows, _: case.inputs[rows] * (1 - _weights(case, rows)))[
        :, 0
    ]


def _weights(case: Case, rows: Tensor) -> Tensor:
    return case.unit_maps[rows, None].to(case.inputs.dtype)


def share(part: Tensor, whole: Tensor) -> Tensor:
    """Divide ``(B,)`` or ``(B, K)``; NaN where the whole is nothing, or negative, as a logit may be."""
    return torch.where(whole > TINY, part / torch.where(whole > TINY, whole, 1), torch.nan)


class AverageDrop(Metric):
    """The share of the score that is lost: ``max(0, s(x) - s(x M)) / s(x)``."""

    name, higher_is_better, range, needs = "average_drop", False, (0.0, 1.0), ("model",)
    source = "A. Chattopadhay et al., 2018, Grad-CAM++, arXiv:1710.11063"

    def measure(self, case: Case) -> Tensor:
        return share((case.scores - score_kept(case)).clamp_min(0), case.scores)


class AverageIncrease(Metric):
    """Whether the score rises: 1 if ``s(x M) > s(x)``, else 0."""

    name, higher_is_better, range, needs = "average_increase", True, (0.0, 1.0), ("model",)
    source = "A. Chattopadhay et al., 2018, Grad-CAM++, arXiv:1710.11063"

    def measure(self, case: Case) -> Tensor:
        return (score_kept(case) > case.scores).double()


class AverageGain(Metric):
    """The share of what is missing to 1 that is won: ``max(0, s(x M) - s(x)) / (1 - s(x))``.

    For scores in [0, 1]. Methods that optimise the masked score (OptiCAM) win by construction.
    """

    name, higher_is_better, range, needs = "average_gain", True, (0.0, 1.0), ("model",)
    source = "H. Zhang et al., 2023, Opti-CAM, arXiv:2301.07002"

    def measure(self, case: Case) -> Tensor:
        if bool((case.scores > 1 + TINY).any()):
            raise ValueError(
                f"average_gain needs scores in [0, 1], not {float(case.scores.max()):g}; give classes, which stand for "
                "softmax probabilities, or targets that return probabilities"
            )
        return share((score_kept(case) - case.scores).clamp_min(0), 1 - case.scores)


class AverageDropInDeletion(Metric):
    """The share of the score that is lost with what the map marks: ``max(0, s(x) - s(x (1 - M))) / s(x)``."""

    name, higher_is_better, range, needs = "average_drop_in_deletion", True, (0.0, 1.0), ("model",)
    source = "H. Jung and Y. Oh, 2021, LIFT-CAM, arXiv:2102.05228"

    def measure(self, case: Case) -> Tensor:
        return share((case.scores - score_deleted(case)).clamp_min(0), case.scores)


class ConfidenceChange(Metric):
    """The change of the score: ``s(x M) - s(x)``."""

    name, higher_is_better, range, needs = "confidence_change", True, (-float("inf"), float("inf")), ("model",)
    source = "A. Chattopadhay et al., 2018, Grad-CAM++, arXiv:1710.11063"

    def measure(self, case: Case) -> Tensor:
        return score_kept(case) - case.scores
