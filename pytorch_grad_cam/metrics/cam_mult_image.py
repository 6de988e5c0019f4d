"""Multiply an image by its map: what the map marks stays, the rest goes to 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.metrics.perturbation_confidence import PerturbationConfidenceMetric
from pytorch_grad_cam.metrics.scores import Model, fixed_targets, inputs_for, outputs_of, scores_from
from pytorch_grad_cam.targets.classification import Targets


def multiply_tensor_with_cam(input_tensor: Tensor, cam: Tensor) -> Tensor:
    """Multiply each channel of an image ``(C, *S)`` by its map ``(*S)``.

    The image is the network's input: after the usual normalisation 0 is the mean colour of the training set, not black.
    """
    return input_tensor * cam


class CamMultImageConfidenceChange(PerturbationConfidenceMetric):
    """The change of the score, ``O - Y``, when the image is multiplied by its map; higher is better.

    ``Y`` is the score of the image, ``O`` that of the image times its map.
    """

    def __init__(self) -> None:
        super().__init__(multiply_tensor_with_cam)


class _ScoreComparison(CamMultImageConfidenceChange):
    """A base class of what compares the score of the image with that of the image times its map."""

    def __call__(
        self,
        input_tensor: Tensor,
        cams: Any,
        targets: Targets,
        model: Model,
        return_visualization: bool = False,
        return_diff: bool = True,
    ) -> Any:
        """Measure a batch; see `PerturbationConfidenceMetric`. Two scores are compared: ``return_diff`` must be True.

        Raises:
            ValueError: also for a relative drop from a score that is not positive.
        """
        if not return_diff:
            raise ValueError(
                "return_diff=False asks for a score, but this metric compares two; CamMultImageConfidenceChange can "
                "return the score alone"
            )
        fixed = fixed_targets(model, input_tensor, targets)
        after, changed = super().__call__(input_tensor, cams, fixed, model, True, False)
        result = self._compare(scores_from(outputs_of(model, inputs_for(model, input_tensor)), fixed), after)
        return (result, changed) if return_visualization else result

    def _compare(self, before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float32]:
        raise NotImplementedError(f"{type(self).__name__} must override _compare")


class DropInConfidence(_ScoreComparison):
    """How much the score drops when the image is multiplied by its map: ``max(0, Y - O)``; lower is better.

    Args:
        relative: in percent of the score, as published: ``100 max(0, Y - O) / Y``; its mean over images is the
            Average Drop %. It needs positive scores, such as softmax probabilities.

    Source: A. Chattopadhay, A. Sarkar, P. Howlader, V. N. Balasubramanian, 2018, "Grad-CAM++: Generalized
        Gradient-based Visual Explanations for Deep Convolutional Networks", arXiv:1710.11063.

    Note:
        A map of ones drops nothing, so this alone rewards maps that mark everything.
    """

    def __init__(self, relative: bool = False) -> None:
        super().__init__()
        self.relative = relative

    def _compare(self, before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float32]:
        drop = np.maximum(before - after, 0)
        if self.relative and not (before > 0).all():
            raise ValueError(
                f"a relative drop needs positive scores, not {before.min():g}; take probabilities as targets, "
                "e.g. ClassifierOutputSoftmaxTarget"
            )
        result: NDArray[np.float32] = 100 * drop / before if self.relative else drop
        return result


class IncreaseInConfidence(_ScoreComparison):
    """Whether the score rises when the image is multiplied by its map: 1 if ``O > Y``, else 0; higher is better.

    100 times its mean over images is the published Increase in Confidence %.

    Source: as for `DropInConfidence`.
    """

    def _compare(self, before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float32]:
        return (after > before).astype(np.float32)
