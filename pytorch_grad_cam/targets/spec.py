"""What is asked, as one value, and how it becomes one callable per image once the model's outputs are known."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.engine.image_model import OutputSelector, embedding_inside, scores_inside
from pytorch_grad_cam.engine.trees import one_image
from pytorch_grad_cam.targets.classification import (
    BinaryClassifierOutputTarget,
    ClassifierOutputTarget,
    SumOverParts,
    Target,
    Targets,
    category_of,
    target_count_error,
)
from pytorch_grad_cam.targets.derived import (
    ContrastTarget,
    LabelTarget,
    NegatedTarget,
    YesOrNoLabelTarget,
    as_class,
    rather_than_rest,
    selected,
)

log = logging.getLogger(__name__)

REST: Literal["rest"] = "rest"
Contrast = tuple[int | str, int | str] | Literal["rest"] | None
# From a class and one image's scores ``(M,)`` to the target that a method puts in the place of the class's score.
ClassTarget = Callable[[int, Tensor], Target]


@dataclass(frozen=True)
class TargetSpec:
    """What a call asks of each image.

    Attributes:
        targets: None (the class with the highest score), an int or a callable for all images, one of these per image
            (sequence, array or tensor of ints; a sequence may also hold None), or labels ``(B, M)``, of which one-hot
            rows name a class and others weigh the scores. Where the model returns one score per image, there are two
            classes: 1, yes, is that score, 0, no, its negative, and None is 1. Of a segmentation network, which returns
            ``(B, M, *S)`` with two or three spatial axes, a class is its score summed over the region where it is
            predicted, and None the class with the largest region, where possible not class 0, the background. Of a
            detector like torchvision's, a class is the surest detection of it, and None the surest of all.
        against: explain what speaks against the targets.
        contrast: two classes, instead of targets: what speaks for the first rather than the second; or "rest": what
            speaks for the class that ``targets`` says rather than for all others together, its log odds.
        class_target: how the method scores a class where it does not take the class's own score.
        rank: which class of a classifier None stands for: 0, that with the highest score, 1, the one after it ...

    Classes may be names as well, until `without_names`.
    """

    targets: Targets = None
    against: bool = False
    contrast: Contrast = None
    class_target: ClassTarget | None = None
    rank: int = 0

    @classmethod
    def asked(cls, targets: Any, options: Mapping[str, Any]) -> TargetSpec:
        """Return what is asked, with the options of a call, as one value; a method may have made it already."""
        if isinstance(targets, TargetSpec):
            return targets
        contrast = options.get("contrast")
        if isinstance(contrast, str) and contrast != REST:
            raise _no_contrast(contrast)
        return cls(targets, options.get("against", False), contrast)

    def resolve(self, outputs: Any, batch: int, class_target: ClassTarget | None = None) -> list[Target]:
        """Return one callable per image.

        Args:
            outputs: the model's outputs for ``batch`` images ``B``, detached. For None, classes and labels they must
                be, or hold as ``logits``, ``out`` or first tensor, one score per class; they are not looked at for
                callables.
            class_target: how a class is scored, where this does not say it.

        Raises:
            TypeError: for a target that is neither an int nor a callable.
            ValueError: for a wrong number of targets, None and outputs without one score per class, or a class that a
                segmentation network or detector does not find in an image.
            IndexError: for a class that the model does not have.
        """
        if self.contrast == REST:
            targets = self._rather_than_rest(outputs, batch)
        else:
            targets = self._contrasted(outputs, batch) if self.contrast else self._plain(outputs, batch, class_target)
        return [NegatedTarget(target) for target in targets] if self.against else targets

    def select_rows(self, rows: Tensor, batch: int) -> Self:
        """Return what is asked of some of ``batch`` images, given by their indices.

        Raises:
            ValueError: for another number of targets than images.
        """
        targets: Any = self.targets
        listed = isinstance(targets, Sequence) and not isinstance(targets, str)
        if not listed and not (isinstance(targets, (Tensor, np.ndarray)) and targets.ndim):
            return self
        if len(targets) != batch:
            raise target_count_error(len(targets), batch)
        chosen = [targets[row] for row in rows.tolist()] if listed else targets[rows.tolist()]
        return dataclasses.replace(self, targets=chosen)

    @property
    def has_names(self) -> bool:
        """Whether a class is asked for by its name."""
        contrast = None if self.contrast == REST else self.contrast
        return any(isinstance(item, str) for asked in (self.targets, contrast) for item in _items(asked))

    def without_names(self, index_of: Callable[[str], int]) -> Self:
        """Return the same question with indices in the place of names."""

        def indexed(asked: Any) -> Any:
            if isinstance(asked, str):
                return index_of(asked)
            return [index_of(item) if isinstance(item, str) else item for item in asked]

        changes: dict[str, Any] = {
            name: indexed(asked)
            for name, asked in (("targets", self.targets), ("contrast", self.contrast))
            if asked != REST and any(isinstance(item, str) for item in _items(asked))
        }
        return dataclasses.replace(self, **changes)

    def _plain(self, outputs: Any, batch: int, class_target: ClassTarget | None) -> list[Target]:
        class_target = self.class_target or class_target
        targets: Any = self.targets
        if isinstance(targets, (Tensor, np.ndarray)):
            if targets.ndim == 2:
                return _label_targets(torch.as_tensor(targets), outputs, batch)
            targets = targets.tolist()  # a 0-d tensor becomes an int, for all images
        listed = isinstance(targets, Sequence) and not isinstance(targets, str)
        wanted = [_class_index(target) for target in (targets if listed else [targets] * batch)]
        one_each = isinstance(outputs, (tuple, list)) and len(wanted) == len(outputs) and all(map(callable, wanted))
        if len(wanted) != batch and one_each:
            wanted = [SumOverParts(wanted)] * batch
        if len(wanted) != batch:
            raise target_count_error(len(wanted), batch)
        if not any(target is None or type(target) is int for target in wanted):
            return [_fixed(_checked_callable(target), outputs, index, batch) for index, target in enumerate(wanted)]
        kind = kind_of(outputs)
        top = kind.top(self.rank) if any(target is None for target in wanted) else []
        classes = {category: kind.of_class(category) for category in wanted if type(category) is int}
        scored_by = _ScoredBy(class_target, outputs) if class_target else None
        resolved = []
        for index, target in enumerate(wanted):
            if target is None or type(target) is int:
                plain = top[index] if target is None else classes[target]
                target = scored_by(plain, index) if scored_by else plain
            resolved.append(_fixed(_checked_callable(target), outputs, index, batch))
        return resolved

    def _rather_than_rest(self, outputs: Any, batch: int) -> list[Target]:
        class_scores(outputs, 'contrast="rest" sets a class against all others')
        given: Any = self.targets
        listed = isinstance(given, Sequence) and not isinstance(given, str)
        asked = [as_class(target) for target in given] if listed else as_class(given) if callable(given) else given
        if any(callable(target) for target in _items(asked)) or getattr(asked, "ndim", 0) == 2:
            raise ValueError(
                'contrast="rest" sets a class against all others, and a target that was given says no class: give '
                "indices, names or None"
            )
        return dataclasses.replace(self, targets=asked, class_target=rather_than_rest)._plain(outputs, batch, None)

    def _contrasted(self, outputs: Any, batch: int) -> list[Target]:
        if self.targets is not None:
            raise ValueError("contrast compares two classes and takes the place of targets; give one of the two")
        pair = self.contrast
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or pair[0] == pair[1]:
            raise _no_contrast(pair)
        targets = kind_of(outputs).contrast(int(pair[0]), int(pair[1]), batch)
        if targets is None:
            class_scores(outputs, "contrast compares two classes")  # says what the outputs are instead
        assert targets is not None
        return [_fixed(target, outputs, index, batch) for index, target in enumerate(targets)]


class OutputKind(Protocol):
    """How a class is asked for, by what kind of network it is."""

    def top(self, rank: int = 0) -> list[Target]:
        """Return what is explained where no target is given, one per image; of a classifier, the class of a rank."""

    def of_class(self, category: int) -> Target:
        """Return what a class index stands for."""

    def contrast(self, first: int, second: int, batch: int) -> list[Target] | None:
        """Return what speaks for one class rather than another, one per image; None where there are no scores of it."""


def kind_of(outputs: Any) -> OutputKind:
    """Say what kind of network returned these outputs: a classifier, a segmentation network or a detector."""
    # Imported here: a classifier needs nothing of the others.
    if isinstance(outputs, (tuple, list)):
        from pytorch_grad_cam.targets.detection import DetectorOutput
        from pytorch_grad_cam.targets.detector_layouts import reader_for

        read = reader_for(outputs)
        if read is not None:
            return DetectorOutput(outputs, read)
    scores = _dense_scores(outputs)
    if scores is not None:
        from pytorch_grad_cam.targets.segmentation import DenseOutput

        return DenseOutput(scores)
    return ClassifierOutput(outputs)


@dataclass(frozen=True)
class ClassifierOutput:
    """Outputs ``(B, M)`` of a classifier, or with such scores inside; one per image, also ``(B,)``, is no or yes."""

    outputs: Any

    def top(self, rank: int = 0) -> list[Target]:
        _refuse_embeddings(self.outputs)
        scores, selector = class_scores(self.outputs, "without a target the top class is explained")
        if not 0 <= rank < max(2, scores.shape[1]):
            raise IndexError(f"there is no class of rank {rank}: the model has {max(2, scores.shape[1])} classes")
        if scores.shape[1] == 1:  # also of a regression: the number itself
            return [selected(BinaryClassifierOutputTarget(1 - rank), selector) for _ in scores]
        categories = scores.topk(rank + 1).indices[:, rank] if rank else scores.argmax(dim=1)
        return [selected(ClassifierOutputTarget(category), selector) for category in categories.tolist()]

    def of_class(self, category: int) -> Target:
        scores, selector = class_scores(self.outputs, f"target {category} is a class")
        _refuse_missing(category, scores)
        target = BinaryClassifierOutputTarget if scores.shape[1] == 1 else ClassifierOutputTarget
        return selected(target(category), selector)

    def contrast(self, first: int, second: int, batch: int) -> list[Target]:
        scores, selector = class_scores(self.outputs, "contrast compares two classes")
        for category in (first, second):
            _refuse_missing(category, scores)
        one_score = scores.shape[1] == 1  # which says yes rather than no: the logarithm of the odds
        target = BinaryClassifierOutputTarget(first) if one_score else ContrastTarget(first, second)
        return [selected(target, selector)] * batch


def resolve_targets(targets: Targets, outputs: Any, batch: int) -> list[Target]:
    """Turn what a user may give as ``targets`` into one callable per image, see `TargetSpec`."""
    return TargetSpec(targets).resolve(outputs, batch)


def class_count(outputs: Any) -> int:
    """Return how many classes a model's outputs have scores for; one score is for two, no and yes."""
    scores, _ = class_scores(outputs, "all classes are to be explained")
    return max(2, scores.shape[1])


def class_scores(outputs: Any, wish: str) -> tuple[Tensor, OutputSelector | None]:
    """Find one score per class ``(B, M)`` and where in the outputs it is; None: they are it."""
    scores, selector = outputs, None
    if not isinstance(outputs, Tensor):
        inside = scores_inside(outputs)
        if inside is not None:
            selector, scores = inside
            log.info("the scores of the classes are taken from the part %r of the model's output", selector)
    if isinstance(scores, Tensor) and scores.ndim == 2:
        return scores, selector
    if scores is outputs and isinstance(scores, Tensor) and scores.ndim == 1:  # one number per image
        return scores[:, None], None
    form = f"a tensor {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
    raise NoScoresError(
        f"{wish}, but the model returns {form}, not one score per class (B, M)",
        "give a target: a callable from one image's output to a scalar (see pytorch_grad_cam.utils.model_targets, "
        "segmentation_targets, detection_targets and embedding_targets), or pick the scores with output=",
    )


def _no_contrast(given: Any) -> ValueError:
    return ValueError(
        f"contrast={given!r} must be two different class indices: what speaks for (a, b) a, not b; or 'rest': for the "
        "class of targets, not for any other"
    )


def _items(asked: Any) -> Sequence[Any]:
    """Return the items of a list of targets, or the one target alone."""
    return asked if isinstance(asked, (list, tuple)) else (asked,)


def _refuse_missing(category: int, scores: Tensor) -> None:
    count = max(2, scores.shape[1])  # one score: no or yes
    if not 0 <= category < count:
        raise IndexError(f"class {category} does not exist: the model has {count} classes, 0 to {count - 1}")


def _class_index(target: Any) -> Any:
    """Return a class index as an int, whatever type of integer it has; everything else as it is."""
    if isinstance(target, Tensor) and target.ndim == 0 and not target.is_floating_point():
        target = int(target)
    is_class = isinstance(target, (int, np.integer)) and not isinstance(target, bool)
    return int(target) if is_class else target


class _ScoredBy:
    """Makes a method's own target of each image's class.

    Args:
        class_target: makes it, of the class and the image's scores ``(M,)``, which are on the CPU, so that a method
            that reads them makes nobody wait image by image.
        outputs: the model's outputs.
    """

    def __init__(self, class_target: ClassTarget, outputs: Any) -> None:
        self._class_target, self._outputs = class_target, outputs
        self._found: tuple[Tensor, OutputSelector | None] | None = None

    def __call__(self, plain: Target, index: int) -> Target:
        """Return the target for the class that ``plain`` asks of image ``index``."""
        category = category_of(plain)
        if category is None:  # a single number: there are no classes to choose from
            return plain
        if self._found is None:
            scores, selector = class_scores(self._outputs, f"target {category} is a class")
            self._found = scores.cpu(), selector
        scores, selector = self._found
        return plain if scores.shape[1] == 1 else selected(self._class_target(category, scores[index]), selector)


def _checked_callable(target: Any) -> Target:
    if callable(target):
        return target  # type: ignore[no-any-return]
    raise TypeError(f"a target must be a class index or a callable from one image's output to a scalar, not {target!r}")


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


def _label_targets(labels: Tensor, outputs: Any, batch: int) -> list[Target]:
    scores, selector = class_scores(outputs, "labels (B, M) were given")
    one_score = scores.shape[1] == 1
    if one_score and labels.shape[1] < 3:
        labels = _signs_of_labels(labels)
    if tuple(labels.shape) != (batch, scores.shape[1]):
        count = max(2, scores.shape[1])
        raise ValueError(
            f"labels {tuple(labels.shape)} for {batch} images and {count} classes; give (B, M), or one class index per "
            "image (B,)"
        )
    return [selected(YesOrNoLabelTarget(row) if one_score else LabelTarget(row), selector) for row in labels]


def _signs_of_labels(labels: Tensor) -> Tensor:
    """Turn labels of yes ``(B, 1)``, or of no and yes ``(B, 2)``, into weights ``(B, 1)`` of a model's one score."""
    labels = labels.float()
    if labels.shape[1] == 2:
        return labels[:, 1:] - labels[:, :1]
    return torch.where(labels == 0, -1.0, labels)  # 0 says no


def _dense_scores(outputs: Any) -> Tensor | None:
    """Return scores ``(B, M, *S)`` of a segmentation network; None if there are none.

    With one spatial axis they could as well be tokens or the boxes of a detector: a target has to say it.
    """
    inside = None if isinstance(outputs, Tensor) else scores_inside(outputs)
    scores = outputs if inside is None else inside[1]
    return scores if isinstance(scores, Tensor) and scores.ndim in (4, 5) else None


def _refuse_embeddings(outputs: Any) -> None:
    """Refuse to explain the largest number of an embedding, where it can be known that it is one."""
    from pytorch_grad_cam.targets.embedding import is_embedding  # only who gives no target meets it

    name = None if isinstance(outputs, Tensor) else embedding_inside(outputs)
    if name is None and not is_embedding(outputs):
        return
    what = "rows of length 1" if name is None else f"a {type(outputs).__name__} with {name!r}"
    raise ValueError(
        f"without a target the top class is explained, but the model returns {what}: embeddings, whose largest number "
        "means nothing by itself; give SimilarityTarget(reference) of pytorch_grad_cam.utils.embedding_targets, the "
        "reference being the embedding of another image or of a text; where there are scores as well, pick them with "
        "output="
    )
