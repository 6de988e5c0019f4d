"""From a classifier's scores to shares in [0, 1]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def class_shares(outputs: Any, multi_label: bool = False) -> Tensor | None:
    """Return the share of each class, ``(B, M)`` float32 on the CPU; None if the outputs are no classification.

    Scores that lie in [0, 1] are shares already; of one output the sigmoid is taken, and both classes, no and yes, are
    returned; of others the softmax or, of ``multi_label`` ones, the sigmoid.

    Args:
        outputs: of the model, ``(B, M)``.
        multi_label: each output is a yes or no of its own.
    """
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or not outputs.is_floating_point():
        return None
    scores = outputs.detach().float().cpu()
    are_shares = bool(((scores >= 0) & (scores <= 1)).all())
    if scores.shape[1] == 1:
        yes = scores if are_shares else scores.sigmoid()
        return torch.cat([1 - yes, yes], 1)
    if are_shares:
        return scores
    return scores.sigmoid() if multi_label else scores.softmax(1)
