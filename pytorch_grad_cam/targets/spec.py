"""From what a user may ask to one callable per image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytorch_grad_cam.common.errors import NoScoresError
from pytorch_grad_cam.engine.image_model import Pick, picked
from pytorch_grad_cam.engine.trees import one_image
from pytorch_grad_cam.targets.classification import (
    ClassifierOutputTarget,
    RawScoresOutputTarget,
    Target,
    Targets,
    category_of,
    target_count_error,
)
from pytorch_grad_cam.targets.detection import StrongestDetectionTarget
from pytorch_grad_cam.targets.detector_output import are_detections
from pytorch_grad_cam.targets.embedding import is_embedding
from pytorch_grad_cam.targets.output_parts import description_inside, scores_inside
from pytorch_grad_cam.targets.segmentation import SemanticSegmentationTarget, main_class

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Turned:
    """Targets with a twist: the evidence against them, or one class against another instead of them."""

    targets: Targets
    against: bool
    contrast: tuple[int, int] | None


def as_targets(targets: Targets | Turned, outputs: Any, batch: int) -> list[Target]:
    """Turn what a user may give as ``targets`` into one callable per image.

    Args:
        targets: None (the class with the highest score), an int or a callable for all images, one of these per image
            (sequence, array or tensor of ints; a sequence may also hold None), or labels ``(B, M)``, of which one-hot
            rows name a class and others weigh the scores. Where the model returns one score per image, class 1 is that
            score, class 0 its negative, and None the score itself. Of a segmentation network, which returns ``(B, M,
            *S)`` with two or three spatial axes, a class is its score summed over the region where it is predicted, and
            None the class with the largest region, where possible not class 0, the background. Of a detector like
            torchvision's, a class is the surest detection of it, and None the surest of all.
        outputs: the model's outputs for ``batch`` images ``B``. For None, classes and labels they must be, or hold as
            ``logits``, ``out`` or first tensor, one score per class.

    Raises:
        TypeError: for a target that is neither an int nor a callable.
        ValueError: for a wrong number of targets, None and outputs without one score per class, or a class that a
            segmentation network or detector does not find in an image.
        IndexError: for a class that the model does not have.
    """
    if isinstance(targets, Turned):
        ask = _contrasted if targets.contrast else _plain
        plain = ask(targets, outputs, batch)
        return [_Negative(target) for target in plain] if targets.against else plain
    if targets is None:
        return _top_classes(outputs)
    if isinstance(targets, (Tensor, np.ndarray)):
        if targets.ndim == 2:
            return _labelled(torch.as_tensor(targets), outputs, batch)
        targets = targets.tolist()  # a 0-d tensor becomes an int, for all images
    each: list[Any] = [targets] * batch
    if isinstance(targets, Sequence) and not isinstance(targets, str):
        each = list(targets)
    if len(each) != batch:
        raise target_count_error(len(each), batch)
    if any(target is None for target in each):
        each = [top if target is None else target for target, top in zip(each, _top_classes(outputs), strict=False)]
    classes = {target: _as_target(target, outputs) for target in {target for target in each if type(target) is int}}
    made = [classes[target] if type(target) is int else _as_target(target, outputs) for target in each]
    return [_fixed(target, outputs, index, batch) for index, target in enumerate(made)]


def class_count(outputs: Any) -> int:
    """Return how many classes a model's outputs have scores for; one score is counted as one."""
    scores, _ = class_scores(outputs, "all classes are to be explained")
    return scores.shape[1]


@dataclass(frozen=True)
class _Part:
    """A target that looks at one part of an image's output."""

    pick: Pick
    target: Target

    @property
    def category(self) -> int | None:
        return category_of(self.target)

    def __call__(self, model_output: Any) -> Tensor:
        return self.target(picked(model_output, self.pick))


@dataclass(frozen=True)
class _Negative:
    """What speaks against a target."""

    target: Target

    @property
    def category(self) -> int | None:
        return category_of(self.target)

    def __call__(self, model_output: Any) -> Tensor:
        return -self.target(model_output)


@dataclass(frozen=True)
class _Binary:
    """Yes (1) or no (0), of a network with one score."""

    category: int

    def __call__(self, model_output: Tensor) -> Tensor:
        return model_output[0] if self.category else -model_output[0]


@dataclass(frozen=True)
class _Weighted:
    """The scores weighed by a row of labels ``(M,)``; one-hot, it is the score of a class."""

    labels: Tensor

    @property
    def category(self) -> int | None:
        named = self.labels.nonzero().flatten()
        return int(named) if len(named) == 1 and self.labels[named] == 1 else None

    def __call__(self, model_output: Tensor) -> Tensor:
        return (model_output * self.labels.to(model_output)).sum()


@dataclass(frozen=True)
class _Contrast:
    """What makes it the first class rather than the second."""

    category: int
    other: int

    def __call__(self, model_output: Tensor) -> Tensor:
        return model_output[self.category] - model_output[self.other]


@dataclass(frozen=True)
class _DenseContrast:
    """What makes it the first class rather than the second, where the first is predicted."""

    first: SemanticSegmentationTarget
    other: int

    @property
    def category(self) -> int:
        return self.first.category

    def __call__(self, model_output: Any) -> Tensor:
        second = SemanticSegmentationTarget(self.other, self.first.mask)
        return self.first(model_output) - second(model_output)


def class_scores(outputs: Any, wish: str) -> tuple[Tensor, Pick | None]:
    """Find one score per class ``(B, M)`` and where in the outputs it is; None: they are it."""
    scores, pick = outputs, None
    if not isinstance(outputs, Tensor):
        found = scores_inside(outputs)
        if found is not None:
            pick, scores = found
            log.info("the scores of the classes are taken from the part %r of the model's output", pick)
    if isinstance(scores, Tensor) and scores.ndim == 2:
        return scores, pick
    form = f"a tensor {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
    raise NoScoresError(
        f"{wish}, but the model returns {form}, not one score per class (B, M)",
        "give a target: a callable from one image's output to a scalar (see pytorch_grad_cam.utils.model_targets, "
        "segmentation_targets, detection_targets and embedding_targets), or pick the scores with output=",
    )


def _dense_scores(outputs: Any) -> Tensor | None:
    """Return scores ``(B, M, *S)`` of a segmentation network; None if there are none.

    With one spatial axis they could as well be tokens or the boxes of a detector: a target has to say it.
    """
    found = None if isinstance(outputs, Tensor) else scores_inside(outputs)
    scores = outputs if found is None else found[1]
    return scores if isinstance(scores, Tensor) and scores.ndim in (4, 5) else None


def _fixed(target: Target, outputs: Any, index: int, batch: int) -> Target:
    """Let a target that depends on what the network finds decide now, for changed versions of the image as well."""
    fix = getattr(target, "fixed_on", None)
    if fix is None:
        return target
    try:
        return fix(one_image(outputs, index, batch))  # type: ignore[no-any-return]
    except ValueError as error:
        if batch == 1:
            raise
        raise ValueError(f"image {index}: {error}") from error


def _inside(target: Target, pick: Pick | None) -> Target:
    return target if pick is None else _Part(pick, target)


def _top_classes(outputs: Any) -> list[Target]:
    if isinstance(outputs, Tensor) and outputs.ndim == 1:
        return [RawScoresOutputTarget() for _ in outputs]  # one number per image: a regression
    if are_detections(outputs):
        return [_fixed(StrongestDetectionTarget(), outputs, index, len(outputs)) for index in range(len(outputs))]
    dense = _dense_scores(outputs)
    if dense is not None:
        largest = [SemanticSegmentationTarget(main_class(scores)) for scores in dense]
        return [_fixed(target, outputs, index, len(dense)) for index, target in enumerate(largest)]
    _refuse_embeddings(outputs)
    scores, pick = class_scores(outputs, "without a target the top class is explained")
    if scores.shape[1] == 1:
        return [_inside(RawScoresOutputTarget(), pick) for _ in scores]
    return [_inside(ClassifierOutputTarget(category), pick) for category in scores.argmax(dim=1).tolist()]


def _as_target(target: Any, outputs: Any) -> Target:
    if isinstance(target, Tensor) and target.ndim == 0 and not target.is_floating_point():
        target = int(target)
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
        if are_detections(outputs):
            return StrongestDetectionTarget(int(target))
        if _dense_scores(outputs) is not None:
            return SemanticSegmentationTarget(_not_negative(int(target)))
        scores, pick = class_scores(outputs, f"target {target} is a class")
        classes = max(2, scores.shape[1])  # one score: yes or no
        if not 0 <= target < classes:
            raise IndexError(f"class {target} does not exist: the model has {classes} classes, 0 to {classes - 1}")
        category = int(target)
        return _inside(_Binary(category) if scores.shape[1] == 1 else ClassifierOutputTarget(category), pick)
    if callable(target):
        return target  # type: ignore[no-any-return]
    raise TypeError(f"a target must be a class index or a callable from one image's output to a scalar, not {target!r}")


def _not_negative(category: int) -> int:
    if category < 0:
        raise IndexError(f"class {category} does not exist; classes count from 0")
    return category


def _refuse_embeddings(outputs: Any) -> None:
    """Refuse to explain the largest number of an embedding, where it can be known that it is one."""
    name = None if isinstance(outputs, Tensor) else description_inside(outputs)
    if name is None and not is_embedding(outputs):
        return
    what = "rows of length 1" if name is None else f"a {type(outputs).__name__} with {name!r}"
    raise ValueError(
        f"without a target the top class is explained, but the model returns {what}: embeddings, whose largest number "
        "means nothing by itself; give SimilarityTarget(reference) of pytorch_grad_cam.utils.embedding_targets, the "
        "reference being the embedding of another image or of a text; where there are scores as well, pick them with "
        "output="
    )


def _labelled(labels: Tensor, outputs: Any, batch: int) -> list[Target]:
    scores, pick = class_scores(outputs, "labels (B, M) were given")
    if tuple(labels.shape) != (batch, scores.shape[1]):
        raise ValueError(
            f"labels {tuple(labels.shape)} for {batch} images and {scores.shape[1]} classes; give (B, M), or one class "
            "index per image (B,)"
        )
    return [_inside(_Weighted(row), pick) for row in labels]


def _plain(turned: Turned, outputs: Any, batch: int) -> list[Target]:
    return as_targets(turned.targets, outputs, batch)


def _contrasted(turned: Turned, outputs: Any, batch: int) -> list[Target]:
    if turned.targets is not None:
        raise ValueError("contrast compares two classes and takes the place of targets; give one of the two")
    pair = turned.contrast
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or pair[0] == pair[1]:
        raise ValueError(f"contrast={pair!r} must be two different class indices: what speaks for (a, b) a, not b")
    if _dense_scores(outputs) is not None:
        first, second = map(int, pair)
        regions = [_fixed(SemanticSegmentationTarget(first), outputs, index, batch) for index in range(batch)]
        return [_DenseContrast(region, second) for region in regions]  # type: ignore[arg-type]
    scores, pick = class_scores(outputs, "contrast compares two classes")
    for category in pair:
        if not 0 <= category < scores.shape[1]:
            raise IndexError(f"class {category} does not exist: the model has {scores.shape[1]} classes")
    return [_inside(_Contrast(int(pair[0]), int(pair[1])), pick)] * batch
