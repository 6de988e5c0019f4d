"""ScoreCAM."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import LINEAR, is_constant, unit_range
from pytorch_grad_cam.engine.perturb import strongest
from pytorch_grad_cam.engine.scoring import progress_bar, scores_of_variants
from pytorch_grad_cam.utils.model_targets import Target

# Larger chunks of whole images are slower on a CPU: they fall out of its caches.
CPU_CHUNK = 8


class ScoreCAM(BaseCAM):
    """Highlights the channels that, used as a mask on the image, keep the score up. No gradient.

    ``H_k = minmax(U(A_k))``; ``w = softmax_k(s(x * H_k))``; ``L = relu(sum_k w_k A_k)``. The score of the baseline
    image cancels in the softmax.

    Args:
        batch_size: masked images per forward pass, at most.
        channels: try only this many channels, those with the largest mean absolute activation; the others get
            weight 0. None tries all.
        progress: show a bar on stderr. All other arguments as for ``BaseCAM``.

    Source: H. Wang et al., 2020, "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
    arXiv:1910.01279.
    Note: masks are resized with aligned corners and stretched afterwards, as in the package ``grad-cam``. The softmax
    ties the result to the scale of the logits: a spread far below 1 gives every channel the same weight. Masking a
    normalised input with 0 means masking with the mean colour.
    """

    uses_gradients = False

    def __init__(
        self, *args: Any, batch_size: int = 16, channels: int | None = None, progress: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.batch_size, self.channels, self.progress = batch_size, channels, progress

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        scores = activations.new_full(activations.shape[:2], -torch.inf)
        tried = [self._distinct(image) for image in activations]
        with progress_bar(sum(len(runs) for runs, _ in tried), "ScoreCAM", self.progress) as advance:
            for row, (runs, same) in enumerate(tried):
                image = input_tensor[row : row + 1]
                found = scores_of_variants(
                    len(runs),
                    partial(_masked, image, activations[row, runs]),
                    self.model,
                    targets[row],
                    min(self.batch_size, CPU_CHUNK) if image.device.type == "cpu" else self.batch_size,
                    advance,
                ).to(scores)
                scores[row, same] = found[-1]
                scores[row, runs] = found
        return scores.softmax(1)

    def _distinct(self, activations: Tensor) -> tuple[Tensor, Tensor]:
        """Return which channels of ``(C, *S)`` to run, and which share the last run's mask: constant ones give 0."""
        channels = strongest(activations, self.channels)
        flat = is_constant(activations[channels])
        return torch.cat([channels[~flat], channels[flat][:1]]), channels[flat]


def _masked(image: Tensor, channels: Tensor, chunk: slice) -> Tensor:
    """Multiply an image ``(1, C, *S)`` by some of ``K`` channels ``(K, *s)``, resized and stretched to [0, 1]."""
    channels = channels[chunk]
    size = tuple(image.shape[2:])
    grown = F.interpolate(channels[:, None], size=size, mode=LINEAR[len(size)], align_corners=True)
    variants = image * unit_range(grown[:, 0])[:, None].to(image.dtype)  # (K, C, *S)
    # Convolutions on a CPU are faster on this layout; the user's model is never converted.
    return variants.contiguous(memory_format=torch.channels_last) if len(size) == 2 else variants
