"""GradCAM++."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import spatial_axes, spatial_sum
from pytorch_grad_cam.targets.classification import Target

EPSILON = 1e-6  # that of the package grad-cam
SMALLEST = 0.1  # denominator / G^2 without epsilon; 2 where the activations are 0, larger where they are positive


class GradCAMPlusPlus(BaseCAM):
    """Highlights places with positive gradient, the strongest most, so that several objects of a class can show.

    ``alpha = G^2 / (2 G^2 + S_k G^3 + epsilon)``; ``w_k = sum_p alpha relu(G)``; ``L = relu(sum_k w_k A_k)``.

    Args:
        epsilon: default 1e-6, as in the package ``grad-cam``, and 0 with ``normalized``. 0 is the paper's equation.
        normalized: the authors' code: ``alpha`` of each channel is divided by its sum over the places where ``G > 0``,
            which the paper does not say. All other arguments as for ``BaseCAM``.

    Raises:
        ValueError: for an epsilon that is negative or not finite.

    Source: A. Chattopadhay et al., 2018, "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks",
    arXiv:1710.11063, equation 19 (the score's exponential cancels).
    Note: the default depends on the scale of the score. ``G^2`` is mostly far below 1e-6; then ``w_k`` is about
    ``sum_p relu(G)^3`` times a constant, which favours the strongest gradients, draws more of the map onto one object
    and tells classes better apart. With ``epsilon=0`` all positive gradients count about equally, and broadly.
    The map depends little on the class: an unrelated one often has nearly the same, so do not contrast classes with it.
    Where ``S_k`` is negative (signed activations, as before a ReLU) the denominator has a pole, and behind it ``alpha``
    is negative. Without epsilon it is kept at 0.1 ``G^2`` or more, so that no place counts more than ten times its
    gradient; with it, as in ``grad-cam``, it is not, but a place exactly there counts nothing.
    """

    tells_classes = False
    epsilon: float = EPSILON
    normalized: bool = False

    def __init__(self, *args: Any, epsilon: float | None = None, normalized: bool = False, **kwargs: Any) -> None:
        if epsilon is not None and not (epsilon >= 0 and math.isfinite(epsilon)):
            raise ValueError(f"epsilon={epsilon}: give 0 (the paper's equation) or a small positive number")
        super().__init__(*args, **kwargs)
        self.normalized = normalized
        self.epsilon = (0.0 if normalized else EPSILON) if epsilon is None else epsilon

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        epsilon = getattr(self, "epsilon", EPSILON)  # asked of the class, as code for grad-cam does, there is no self
        weighted = grads.relu()
        alpha = _alpha(activations, grads, epsilon)
        if getattr(self, "normalized", False):
            sums = spatial_sum(alpha * (grads > 0))
            alpha = alpha / torch.where(sums == 0, 1, sums)
        return (alpha * weighted).sum(spatial_axes(grads))


def _alpha(activations: Tensor, grads: Tensor, epsilon: float) -> Tensor:
    """Return the share of each place, ``(B, C, *s)``."""
    over_square = 2 + spatial_sum(activations) * grads  # eq. 19, the denominator / G^2
    if not epsilon:  # nothing underflows
        return 1 / over_square.clamp_min(SMALLEST)
    squares = grads**2
    denominator = squares * over_square + epsilon
    return squares / torch.where(denominator == 0, torch.inf, denominator)
