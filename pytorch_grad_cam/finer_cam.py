"""FinerCAM."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.wrapper_cam import MetaCAM
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.core.options import How, MapOptions
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.targets.class_targets import ClassTarget, class_targets
from pytorch_grad_cam.targets.classification import FinerWeightedTarget, Target, Targets
from pytorch_grad_cam.targets.spec import Turned

DEFAULT_COMPARISON_CATEGORIES = (1, 2, 3)


class FinerCAM(MetaCAM):
    """Highlights what distinguishes a class from those that the model finds most similar to it.

    Any base method, asked about ``s = y_c - alpha sum_d p_d y_d / sum_d p_d``, where ``d`` are the classes whose scores
    are closest to ``y_c`` and ``p`` the softmax probabilities, taken as constants.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        base_method: the class of the method that is asked.
        **kwargs: handed to the base method.

    Source: Z. Zhang et al., 2025, "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
    arXiv:2501.11309.
    Note: classes (None, int) are compared; a callable is explained as it is, without a comparison. Weights and strength
    are those of the package ``grad-cam``, which however lets gradients pass through the weights.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        base_method: Callable[..., BaseCAM] = GradCAM,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, base_method, **kwargs)

    def __call__(  # type: ignore[override]  # as in the package grad-cam
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        eigen_smooth: bool = False,
        alpha: float = 1,
        comparison_categories: Sequence[int] | None = None,
        target_idx: int | None = None,
        *,
        aug_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> NDArray[np.float32]:
        """Explain a batch of images; ``explain`` says what the arguments mean."""
        asked = self._question(targets, alpha, comparison_categories, target_idx)
        return self._explain(input_tensor, asked, aug_smooth, eigen_smooth, **options).numpy()

    def forward(
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        eigen_smooth: bool = False,
        alpha: float = 1,
        comparison_categories: Sequence[int] | None = None,
        target_idx: int | None = None,
    ) -> NDArray[np.float32]:
        """Do the same as a call."""
        asked = self._question(targets, alpha, comparison_categories, target_idx)
        return self._explain(input_tensor, asked, False, eigen_smooth).numpy()

    def explain(
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        *,
        aug_smooth: bool = False,
        eigen_smooth: bool = False,
        alpha: float = 1,
        comparison_categories: Sequence[int] | None = None,
        target_idx: int | None = None,
        **options: Unpack[MapOptions],
    ) -> Explanation:
        """Find out what distinguishes each image's class.

        Args:
            input_tensor, targets, aug_smooth, eigen_smooth, **options: as for ``BaseCAM.explain``.
            alpha: strength of the comparison; 0 gives the base method's map.
            comparison_categories: which of the other classes, counted from the most similar one, which is 1; None
                takes the first three. Numbers beyond the last class are left out.
            target_idx: the class of all images; ``targets`` go before it.

        Raises:
            ValueError: for a comparison below 1; other errors as for ``BaseCAM.explain``.
        """
        asked = self._question(targets, alpha, comparison_categories, target_idx)
        return self._explain(input_tensor, asked, aug_smooth, eigen_smooth, **options)

    def _question(self, targets: Targets, alpha: float, ranks: Sequence[int] | None, index: int | None) -> Any:
        ranks = DEFAULT_COMPARISON_CATEGORIES if ranks is None else tuple(ranks)
        if min(ranks, default=1) < 1:
            raise ValueError(
                f"comparison_categories={list(ranks)} must be 1 or more: they count the other classes from the most "
                "similar one, 1; 0 would be the class itself"
            )
        asked = index if targets is None else targets
        return _Question(asked, partial(_Comparison, alpha=alpha, ranks=ranks)) if self.uses_targets else asked

    def _explain_view(
        self, inputs: Tensor, targets: Any, how: How, undo: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Explanation, list[Target]]:
        asked: Any = targets
        make: Callable[[int | None], Target] = _Comparison
        turned = isinstance(targets, Turned)
        question = targets.targets if turned else targets
        if isinstance(question, _Question):  # else another method asks, or one target after the other
            make = question.make
            asked = dataclasses.replace(targets, targets=question.targets) if turned else question.targets
        return self._base_view(inputs, class_targets(asked, len(inputs), make), how, undo)


@dataclass(frozen=True)
class _Question:
    """Targets on their way through a call, and how a class becomes a comparison."""

    targets: Targets
    make: Callable[[int | None], Target]


class _Comparison(ClassTarget):
    """A class against the classes of some ranks of similarity, which are fixed with it."""

    def __init__(
        self, category: int | None, alpha: float = 1, ranks: Sequence[int] = DEFAULT_COMPARISON_CATEGORIES
    ) -> None:
        super().__init__(category)
        self._alpha, self._ranks = alpha, ranks
        self._target: FinerWeightedTarget | None = None

    def score(self, scores: Tensor, category: int) -> Tensor:
        if self._target is None:
            distance = (scores.detach() - scores.detach()[category]).abs()
            order = [index for index in distance.argsort(stable=True).tolist() if index != category]
            others = [order[rank - 1] for rank in self._ranks if rank <= len(order)]
            self._target = FinerWeightedTarget(category, others, self._alpha)
        return self._target(scores)
