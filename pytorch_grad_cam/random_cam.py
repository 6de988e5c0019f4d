"""RandomCAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.targets.classification import Target


class RandomCAM(BaseCAM):
    """Highlights nothing on purpose: channels weighted at random, the floor that a method has to beat.

    ``w_k ~ Uniform(-1, 1)``; ``L = relu(sum_k w_k A_k)``.

    Args:
        seed: of the weights; the same seed gives every image the same weights at every call and leaves the global
            random state alone. All other arguments as for ``BaseCAM``.

    Source: none; a baseline that the package ``grad-cam`` ships; that draws anew for every image.
    """

    uses_gradients = False
    uses_targets = False

    def __init__(self, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seed = seed

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        weights = torch.rand(1, activations.shape[1], generator=generator, device="cpu") * 2 - 1
        return weights.to(activations).expand(len(activations), -1)  # (B, C)
