"""Targets that are made of others, or of what a call asks: negated, contrasted, of a part of the output, of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pytorch_grad_cam.engine.image_model import OutputSelector, select_output
from pytorch_grad_cam.targets.classification import (
    BinaryClassifierOutputTarget,
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
    Target,
    category_of,
    image_scores,
    log_odds,
    log_of,
    sum_to_one,
)


@dataclass(frozen=True)
class SelectedTarget:
    """A target that looks at one part of an image's output."""

    selector: OutputSelector
    target: Target

    @property
    def category(self) -> int | None:
        return category_of(self.target)

    def __call__(self, model_output: Any) -> Tensor:
        return self.target(select_output(model_output, self.selector))


@dataclass(frozen=True)
class NegatedTarget:
    """What speaks against a target."""

    target: Target

    @property
    def category(self) -> int | None:
        return category_of(self.target)

    def __call__(self, model_output: Any) -> Tensor:
        return -self.target(model_output)


@dataclass(frozen=True)
class LabelTarget:
    """The scores weighed by a row of labels ``(M,)``; one-hot, it is the score of a class."""

    labels: Tensor

    @property
    def category(self) -> int | None:
        named = self.labels.nonzero().flatten()
        return int(named) if len(named) == 1 and self.labels[named] == 1 else None

    def __call__(self, model_output: Tensor) -> Tensor:
        return (model_output * self.labels.to(model_output)).sum()


class YesOrNoLabelTarget(LabelTarget):
    """One score, weighed by 1 where the label says yes, and by -1 where it says no."""

    @property
    def category(self) -> int | None:
        return {1.0: 1, -1.0: 0}.get(float(self.labels))


@dataclass(frozen=True)
class ContrastTarget:
    """What makes it the first class rather than the second."""

    category: int
    other: int

    def __call__(self, model_output: Tensor) -> Tensor:
        return model_output[self.category] - model_output[self.other]


@dataclass(frozen=True)
class LogOddsTarget:
    """What makes it a class rather than any other: the logarithm of its odds, ``y_c - logsumexp of all others``.

    That of a network of which one class is true; where each is true by itself, its own logit is that logarithm already.

    Attributes:
        category: the class.
        of_probabilities: whether the output holds probabilities instead of logits.
    """

    category: int
    of_probabilities: bool = False

    def __call__(self, model_output: Any) -> Tensor:
        scores = image_scores(model_output)
        return log_odds(log_of(scores) if self.of_probabilities else scores, self.category)


def rather_than_rest(category: int, scores: Tensor) -> Target:
    """Return the target of a class against all others, by one image's scores ``(M,)``."""
    return LogOddsTarget(category, sum_to_one(scores))


@dataclass(frozen=True)
class SigmoidTarget:
    """The probability of what a target with logits of its own asks."""

    target: Target

    @property
    def category(self) -> int | None:
        return category_of(self.target)

    def __call__(self, model_output: Any) -> Tensor:
        return self.target(model_output).sigmoid()


def as_probability(target: Target, of_probabilities: bool) -> Target | None:
    """Return the target that scores a class by its probability; None where nothing is known of one, as of a callable.

    Args:
        target: what is asked.
        of_probabilities: whether the network returns the probabilities of its classes itself.
    """
    if isinstance(target, SelectedTarget):
        inner = as_probability(target.target, of_probabilities)
        return None if inner is None else SelectedTarget(target.selector, inner)
    asks_it = ClassifierOutputTarget if of_probabilities else ClassifierOutputSoftmaxTarget
    if type(target) is asks_it or isinstance(target, ClassifierOutputSoftmaxTarget):
        return target
    if type(target) is ClassifierOutputTarget and of_probabilities:
        return target
    if type(target) in (ClassifierOutputTarget, LogOddsTarget):
        category: int = target.category  # type: ignore[attr-defined]
        return ClassifierOutputTarget(category) if of_probabilities else ClassifierOutputSoftmaxTarget(category)
    return SigmoidTarget(target) if isinstance(target, BinaryClassifierOutputTarget) else None


def selected(target: Target, selector: OutputSelector | None) -> Target:
    return target if selector is None else SelectedTarget(selector, target)


def as_class(target: Target) -> Target | int:
    """Return the class index that resolves to this target; the target itself where none does.

    Methods that score a class in a way of their own, such as FinerCAM, do so for an index only.
    """
    inner = target.target if isinstance(target, SelectedTarget) else target
    is_plain = type(inner) in (ClassifierOutputTarget, BinaryClassifierOutputTarget)
    category = category_of(inner) if is_plain else None
    return target if category is None else category
