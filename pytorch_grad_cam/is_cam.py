"""IS-CAM."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pytorch_grad_cam.score_cam import Change, ScoreCAM


class ISCAM(ScoreCAM):
    """Highlights the channels that, used as a mask on the image, keep the score up while the image fades in.

    ``d_k = mean_i s(i / N * x * H_k)`` for ``i = 1 ... N``; ``w = softmax_k(d)``; ``L = relu(sum_k w_k A_k)``; ``H_k``
    as in ScoreCAM. No gradient.
    Asked about a probability, ``w_k = d_k``: see ``weighting`` of ``ScoreCAM``.

    Args:
        num_samples: ``N``, the steps from nothing to the whole masked image. All other arguments as for ``ScoreCAM``.

    Raises:
        ValueError: for fewer than one step.

    Source: R. Naidu, A. Ghosh, Y. Maurya, S. R. Nayak K and S. S. Kundu, 2020, "IS-CAM: Integrated Score-CAM for
    axiomatic-based explanations", arXiv:2010.03023.
    Note: the steps are even. ``torchcam`` adds them up on the way, 0.1, 0.3, 0.6 ... 5.5 for ten, so most of its inputs
    are brighter than the image.
    """

    def __init__(self, *args: Any, num_samples: int = 10, **kwargs: Any) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples={num_samples} is no number of steps; give 1 or more")
        super().__init__(*args, **kwargs)
        self.num_samples = num_samples

    @property
    def versions(self) -> int:
        """One per step."""
        return self.num_samples

    def change(self, image: Tensor) -> Change:
        def fade(masks: Tensor, versions: Tensor) -> Tensor:
            shares = ((versions + 1) / self.versions).to(masks).reshape(-1, *[1] * (image.ndim - 1))  # (K, 1, ...)
            return image * (masks[:, None] * shares).to(image.dtype)

        return fade
