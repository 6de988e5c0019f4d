"""What to explain: callables from ONE image's output (no batch axis) to a scalar tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Target = Callable[[Any], Tensor]
Targets = None | int | Tensor | NDArray[np.integer] | Target | Sequence[int | Tensor | Target]


class ClassifierOutputTarget:
    """The score (logit) of one class.

    Args:
        category: class index; the output is ``(M,)``.
    """

    def __init__(self, category: int) -> None:
        self.category = category

    def __call__(self, model_output: Tensor) -> Tensor:
        return model_output[..., self._checked(model_output)]

    def _checked(self, model_output: Tensor) -> int:
        count = model_output.shape[-1]
        if not -count <= self.category < count:
            raise IndexError(f"class {self.category} does not exist: the model has {count} outputs, 0 to {count - 1}")
        return self.category


class ClassifierOutputSoftmaxTarget(ClassifierOutputTarget):
    """The softmax probability of one class. Its gradient vanishes for confident predictions; prefer the logit."""

    def __call__(self, model_output: Tensor) -> Tensor:
        return torch.softmax(model_output, dim=-1)[..., self._checked(model_output)]


class ClassifierOutputReST(ClassifierOutputTarget):
    """The logit plus the log-probability of one class, ``y_c + log softmax(y)_c``.

    Source: H. Cai, 2025, "CAMs as Shapley Value-based Explainers", arXiv:2501.06261 (ReST).
    """

    def __call__(self, model_output: Tensor) -> Tensor:
        category = self._checked(model_output)
        return model_output[..., category] + torch.log_softmax(model_output, dim=-1)[..., category]


class BinaryClassifierOutputTarget:
    """The evidence for one side of a network with a single logit.

    Args:
        category: 1 explains the logit, 0 its negative.
    """

    def __init__(self, category: int) -> None:
        self.category = category

    def __call__(self, model_output: Tensor) -> Tensor:
        return model_output if self.category == 1 else -model_output


class SoftmaxOutputTarget:
    """All softmax probabilities; a scalar, and so a target by itself, only for metrics that take vectors."""

    def __call__(self, model_output: Tensor) -> Tensor:
        return torch.softmax(model_output, dim=-1)


class RawScoresOutputTarget:
    """The output as it is; a target by itself only if the model returns one number per image (regression)."""

    def __call__(self, model_output: Tensor) -> Tensor:
        return model_output


class SemanticSegmentationTarget:
    """The score of one class, summed over the pixels of a mask.

    Args:
        category: class index; the output is ``(M, *S)``.
        mask: ``(*S)`` of the output's size, bool or float, array or tensor on any device.

    Raises:
        ValueError: when called, if mask and output differ in size.
    """

    def __init__(self, category: int, mask: NDArray[Any] | Tensor) -> None:
        self.category = category
        self.mask = torch.as_tensor(mask)

    def __call__(self, model_output: Tensor) -> Tensor:
        scores = model_output[self.category]
        if scores.shape != self.mask.shape:
            raise ValueError(
                f"the mask is {tuple(self.mask.shape)}, the model's output for one class {tuple(scores.shape)}; "
                "give a mask of the output's size"
            )
        return (scores * self.mask.to(scores.device, scores.dtype)).sum()


def as_targets(targets: Targets, outputs: Any, batch: int) -> list[Target]:
    """Turn what a user may give as ``targets`` into one callable per image.

    Args:
        targets: None (the class with the highest score), an int or a callable for all images, or one of these per
            image (sequence, array or tensor of ints).
        outputs: the model's outputs for ``batch`` images.
        batch: number of images ``B``.

    Raises:
        TypeError: for a target that is neither an int nor a callable.
        ValueError: for a wrong number of targets, or None and outputs without one score per class.
        IndexError: for a class that the model does not have.
    """
    if targets is None:
        return _top_classes(outputs)
    if isinstance(targets, (Tensor, np.ndarray)):
        targets = targets.tolist()  # a 0-d tensor becomes an int, for all images
    each = list(targets) if isinstance(targets, Sequence) and not isinstance(targets, str) else [targets] * batch
    if len(each) != batch:
        raise ValueError(
            f"{len(each)} targets for a batch of {batch} images; give one per image, a single one for all "
            "(not in a list), or None for the top class"
        )
    return [_as_target(target, outputs) for target in each]


def category_of(target: Target) -> int | None:
    """Return the class that a target asks for, None if it does not say."""
    category = getattr(target, "category", None)
    return int(category) if isinstance(category, (int, np.integer)) else None


def _top_classes(outputs: Any) -> list[Target]:
    if isinstance(outputs, Tensor) and outputs.ndim == 1:
        return [RawScoresOutputTarget() for _ in outputs]  # one number per image: a regression
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        form = f"a tensor {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(
            f"the model returns {form}, not one score per class (B, M), so there is no top class; give a target: a "
            "callable from one image's output to a scalar (see pytorch_grad_cam.utils.model_targets)"
        )
    return [ClassifierOutputTarget(category) for category in outputs.argmax(dim=1).tolist()]


def _as_target(target: Any, outputs: Any) -> Target:
    if isinstance(target, Tensor) and target.ndim == 0 and not target.is_floating_point():
        target = int(target)
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            form = f"a tensor {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ValueError(
                f"target {target} is a class, but the model returns {form}, not one score per class (B, M); give a "
                "callable from one image's output to a scalar, e.g. SemanticSegmentationTarget"
            )
        if not 0 <= target < outputs.shape[1]:
            raise IndexError(
                f"class {target} does not exist: the model has {outputs.shape[1]} outputs, 0 to {outputs.shape[1] - 1}"
            )
        return ClassifierOutputTarget(int(target))
    if callable(target):
        return target  # type: ignore[no-any-return]
    raise TypeError(f"a target must be a class index or a callable from one image's output to a scalar, not {target!r}")
