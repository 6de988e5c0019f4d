"""Targets of methods that ask about a class in their own way."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytorch_grad_cam.engine.image_model import picked
from pytorch_grad_cam.engine.trees import map_tensors
from pytorch_grad_cam.targets.classification import Target, category_of
from pytorch_grad_cam.targets.spec import Turned, as_targets, class_scores


class ClassTarget(ABC):
    """A class, or the top class of the first output that is seen, by a score of the method's own.

    The choice is kept, so that changed views and variants of the image are asked about the same class. Where the model
    returns one number per image there are no classes to choose from, and that number is the score, as for any method.

    Args:
        category: class index; None is the top class.
    """

    def __init__(self, category: int | None = None) -> None:
        self.category = category
        self._plain: Target | None = None

    @abstractmethod
    def score(self, scores: Tensor, category: int) -> Tensor:
        """Score one class of an image's scores ``(M,)``, with M of 2 or more."""

    def __call__(self, model_output: Any) -> Tensor:
        alone = map_tensors(model_output, lambda tensor: tensor.detach()[None])  # a batch of one
        if self._plain is None:
            (self._plain,) = as_targets(self.category, alone, 1)  # which finds what cannot be asked, and says so
            self.category = category_of(self._plain)
        if self.category is None:
            return self._plain(model_output)
        found, pick = class_scores(alone, f"target {self.category} is a class")
        if found.shape[1] == 1:
            return self._plain(model_output)
        return self.score(model_output if pick is None else picked(model_output, pick), self.category)


def class_targets(targets: Any, batch: int, make: Callable[[int | None], Target]) -> Any:
    """Replace None and class indices by targets of a method's own; everything else stays as it is.

    Args:
        targets: ``Targets`` or ``Turned``: what the user gave, see ``as_targets``.
        batch: number of images ``B``.
        make: from a class, or None for the top one, to a target.

    Returns:
        One target per image where classes were given: each keeps its own choice.
    """
    if isinstance(targets, Turned):
        if targets.contrast:
            return targets
        return dataclasses.replace(targets, targets=class_targets(targets.targets, batch, make))
    if isinstance(targets, (Tensor, np.ndarray)):
        if targets.ndim > 1 or torch.as_tensor(targets).is_floating_point():
            return targets
        targets = targets.tolist()

    def own(target: Any) -> Any:
        if isinstance(target, Tensor) and target.ndim == 0 and not target.is_floating_point():
            target = int(target)
        is_class = isinstance(target, (int, np.integer)) and not isinstance(target, bool)
        return make(int(target)) if is_class else target

    if targets is None:
        return [make(None) for _ in range(batch)]
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        return [own(target) for target in targets]
    return [own(targets) for _ in range(batch)]
