"""Outputs and targets to scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.engine.trees import one_image

Target = Callable[[Any], Tensor]


def scores_of(outputs: Any, targets: Sequence[Target]) -> Tensor:
    """Ask each image's target for its score.

    Args:
        outputs: the model's outputs for ``B`` images.
        targets: ``B`` callables from one image's output to a tensor with one element.

    Returns:
        ``(B,)`` scores, carrying the graph if the outputs do.

    Raises:
        TypeError: if a target returns no tensor.
        ValueError: if a target returns more than one number.
    """
    scores = []
    for index, target in enumerate(targets):
        score = target(one_image(outputs, index, len(targets)))
        if not isinstance(score, Tensor):
            raise TypeError(
                f"the target of image {index} returned {type(score).__name__}, not a tensor; return a scalar tensor "
                "computed from the model's output (no .item(), no NumPy), so that its gradient can be taken"
            )
        if score.numel() != 1:
            raise ValueError(
                f"the target of image {index} returned a tensor of shape {tuple(score.shape)}; "
                "a target must return one number: pick an element or sum"
            )
        scores.append(score.reshape(()))
    return torch.stack(scores)  # (B,)
