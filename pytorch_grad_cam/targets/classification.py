"""Targets for classifiers, and what a target is: a callable from ONE image's output (no batch axis) to a scalar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.engine.image_model import scores_inside
from pytorch_grad_cam.engine.scoring import is_softmax
from pytorch_grad_cam.engine.trees import one_image

_ROUNDED = 5e-3  # off 1, of probabilities in half precision

Target = Callable[[Any], Tensor]
Targets = None | int | str | Tensor | NDArray[np.integer] | Target | Sequence[int | str | Tensor | Target]


class ClassifierOutputTarget:
    """Scores an image by the logit of one class.

    Args:
        category: class index; the output is ``(M,)``, or holds that as ``logits``, ``out`` or first tensor, as with all
            targets of this module.
    """

    def __init__(self, category: int) -> None:
        self.category = category

    def __call__(self, model_output: Any) -> Tensor:
        scores = image_scores(model_output)
        category = self._checked_category(scores)
        if ends_in_softmax(scores):
            return probability(log_of(scores), category)
        return scores[..., category]

    @staticmethod
    def of_batch(outputs: Tensor, targets: Sequence[ClassifierOutputTarget]) -> Tensor:
        """Return the scores ``(B,)`` of ``B`` images' outputs ``(B, M)`` at once, which saves time per image."""
        if ends_in_softmax(outputs):
            return torch.stack([target(row) for target, row in zip(targets, outputs, strict=True)])
        count = outputs.shape[1]
        classes = torch.tensor([target._checked_category(outputs) % count for target in targets], device=outputs.device)
        return outputs.gather(1, classes[:, None])[:, 0]

    def _checked_category(self, model_output: Tensor) -> int:
        count = model_output.shape[-1]
        if not -count <= self.category < count:
            raise IndexError(f"class {self.category} does not exist: the model has {count} outputs, 0 to {count - 1}")
        return self.category


class ClassifierOutputSoftmaxTarget(ClassifierOutputTarget):
    """Scores an image by the softmax probability of one class.

    Its gradient gets small where the network is sure, but keeps its direction: it is taken through the log odds.
    """

    def __call__(self, model_output: Any) -> Tensor:
        scores = image_scores(model_output)
        return probability(scores, self._checked_category(scores))


class ClassifierOutputReST(ClassifierOutputTarget):
    """Scores an image by the logit plus the log-probability of one class: ``y_c + log softmax(y)_c``.

    Source: H. Cai, 2025, "CAMs as Shapley Value-based Explainers", arXiv:2501.06261 (ReST).
    """

    def __call__(self, model_output: Any) -> Tensor:
        scores = image_scores(model_output)
        category = self._checked_category(scores)
        return scores[..., category] + torch.log_softmax(scores, dim=-1)[..., category]


class BinaryClassifierOutputTarget:
    """Scores an image by the evidence for one of the two classes of a network with a single logit.

    Args:
        category: 1 explains the logit, 0 its negative.
    """

    def __init__(self, category: int) -> None:
        self.category = category

    def __call__(self, model_output: Any) -> Tensor:
        logit = image_scores(model_output)
        return logit if self.category == 1 else -logit


class SoftmaxOutputTarget:
    """Returns all softmax probabilities; no target of a map, but a score for metrics that take vectors."""

    def __call__(self, model_output: Any) -> Tensor:
        return torch.softmax(image_scores(model_output), dim=-1)


class RawScoresOutputTarget:
    """Returns the output as it is, which is a score if the model returns one number per image (regression)."""

    def __call__(self, model_output: Any) -> Tensor:
        return image_scores(model_output)


class FinerWeightedTarget:
    """Scores an image by what distinguishes a class from similar ones: its logit less a weighted mean of theirs.

    ``y_c - alpha sum_d p_d y_d / sum_d p_d`` with the softmax probabilities ``p`` as constant weights.

    Args:
        main_category: the class ``c``.
        comparison_categories: the similar classes ``d``; without any it is the logit alone.
        alpha: strength of the comparison.

    Source: Z. Zhang et al., 2025, "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
    arXiv:2501.11309.
    """

    def __init__(self, main_category: int, comparison_categories: Sequence[int], alpha: float) -> None:
        self.main_category, self.comparison_categories, self.alpha = main_category, comparison_categories, alpha

    @property
    def category(self) -> int:
        return self.main_category

    def __call__(self, model_output: Any) -> Tensor:
        scores = image_scores(model_output)
        score = scores[..., self.main_category]
        if len(self.comparison_categories) == 0:
            return score
        others = scores[..., list(self.comparison_categories)]
        weights = others.detach().softmax(-1)  # p_d / sum_d p_d: what is left out of the softmax cancels
        return score - self.alpha * (weights * others).sum(-1)


def probability(scores: Tensor, category: int) -> Tensor:
    """Return the softmax probability of a class, ``p = sigmoid(y_c - logsumexp of the others)``.

    The value is that of ``torch.softmax``. Its gradient there has a term ``1 - p``, which is rounding where ``p`` is
    near 1, also by 1e-4, so that evidence for the class is lost and all seems to speak against it; here it is exact.

    Args:
        scores: ``(..., M)``; the logarithms of probabilities are scores too.
        category: index ``c`` of the class.
    """
    if scores.shape[-1] == 1:
        return torch.softmax(scores, dim=-1)[..., category]
    return functional.logsigmoid(log_odds(scores, category)).exp()


def log_odds(scores: Tensor, category: int) -> Tensor:
    """Return the logarithm of a class's odds, ``y_c - logsumexp of the others``, from scores ``(..., M)``, M > 1."""
    category %= scores.shape[-1]
    others = torch.cat([scores[..., :category], scores[..., category + 1 :]], -1)
    return scores[..., category] - others.logsumexp(-1)


def log_of(probabilities: Tensor) -> Tensor:
    """Return the logarithm, of a probability that is 0 that of the smallest number, so that gradients stay finite."""
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def ends_in_softmax(scores: Tensor) -> bool:
    """Say whether a graph makes ``(M,)`` or ``(B, M)`` by a softmax of the classes, behind what only selects."""
    return is_softmax(scores.grad_fn) and sum_to_one(scores)


def sum_to_one(scores: Tensor) -> bool:
    """Say whether scores ``(M,)`` or ``(B, M)`` of several classes are probabilities, by their values."""
    if not 0 < scores.ndim < 3 or scores.shape[-1] < 2:
        return False
    values = scores.detach().tolist()
    rows = values if scores.ndim == 2 else [values]
    return all(min(row) >= 0 and abs(sum(row) - 1) < _ROUNDED for row in rows)


def returns_probabilities(outputs: Any, index: int, batch: int) -> bool:
    """Say by their values whether a model's outputs for ``batch`` images are probabilities of classes, of one image."""
    try:
        return sum_to_one(image_scores(one_image(outputs, index, batch)))
    except ValueError:  # outputs without scores of classes, or of another batch
        return False


def image_scores(model_output: Any) -> Tensor:
    """Return the scores of one image: its output, or of an output with parts ``logits``, ``out`` or the first tensor.

    Raises:
        NoScoresError: for an output without any.
    """
    if isinstance(model_output, Tensor):
        return model_output
    inside = scores_inside(model_output)
    if inside is None:
        raise NoScoresError(
            f"a target of a class needs scores, but the model returns {type(model_output).__name__}",
            "pick the part that holds them with output=, or give a callable that does",
        )
    return inside[1]


def target_count_error(count: int, batch: int) -> ValueError:
    """Return the error for a number of targets that is not the number of images."""
    return ValueError(
        f"{count} targets for a batch of {batch} images; give one per image, a single one for all (not in a list), or "
        "None for the top class"
    )


class SumOverParts:
    """Scores an image by the sum of what several targets say, each of its own part of the outputs, as in grad-cam.

    Args:
        targets: from a part, with its batch axis, to a number.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = targets

    def __call__(self, outputs: Sequence[Tensor]) -> Tensor:
        scores = [target(part[None]).sum() for target, part in zip(self.targets, outputs, strict=True)]
        return torch.stack(scores).sum()


def category_of(target: Target) -> int | None:
    """Return the class that a target asks for, None if it does not say."""
    category = getattr(target, "category", None)
    return int(category) if isinstance(category, (int, np.integer)) else None
