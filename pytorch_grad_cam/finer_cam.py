"""FinerCAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.wrapper_cam import WrapperCAM
from pytorch_grad_cam.core.call import Call, CallResult, MapOptions
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.targets.classification import FinerWeightedTarget, Target, Targets
from pytorch_grad_cam.targets.spec import TargetSpec

DEFAULT_COMPARISON_CATEGORIES = (1, 2, 3)


class FinerCAM(WrapperCAM):
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
        return self.explain(
            input_tensor,
            targets,
            aug_smooth=aug_smooth,
            eigen_smooth=eigen_smooth,
            alpha=alpha,
            comparison_categories=comparison_categories,
            target_idx=target_idx,
            **options,
        ).numpy()

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
        return self(input_tensor, targets, eigen_smooth, alpha, comparison_categories, target_idx)

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
        ranks = DEFAULT_COMPARISON_CATEGORIES if comparison_categories is None else tuple(comparison_categories)
        if min(ranks, default=1) < 1:
            raise ValueError(
                f"comparison_categories={list(ranks)} must be 1 or more: they count the other classes from the most "
                "similar one, 1; 0 would be the class itself"
            )
        spec: Any = targets  # as it comes from an override of forward
        if not isinstance(targets, TargetSpec):
            spec = TargetSpec(
                target_idx if targets is None else targets,
                options.get("against", False),
                options.get("contrast"),
                partial(_comparison, alpha=alpha, ranks=ranks),
            )
        return super().explain(input_tensor, spec, aug_smooth=aug_smooth, eigen_smooth=eigen_smooth, **options)

    def explain_call(self, call: Call) -> CallResult:
        spec = replace(call.spec, class_target=call.spec.class_target or _comparison)
        return self.base_cam.explain_call(call.asking(spec))


def _comparison(
    category: int, scores: Tensor, alpha: float = 1, ranks: Sequence[int] = DEFAULT_COMPARISON_CATEGORIES
) -> Target:
    """Compare a class with those of some ranks of similarity, by one image's scores ``(M,)``."""
    distance = (scores - scores[category]).abs()
    order = [index for index in distance.argsort(stable=True).tolist() if index != category]
    others = [order[rank - 1] for rank in ranks if rank <= len(order)]
    return FinerWeightedTarget(category, others, alpha)
