"""How a channel is taken away, for code that brings its own way: the layers that AblationCAM can put in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.engine.maps import principal_projection

MASK_THRESHOLD = 0.01  # of the principal component's range; below it a position counts as background


class AblationLayer(nn.Module):
    """Takes channels of a convolutional layer's output ``(B, C, *S)`` away by setting them to 0.

    AblationCAM asks it, in this order: which channels to try (``activations_to_be_ablated``), to prepare a batch of
    copies of one image's activations (``set_next_batch``), and for the changed copies (the call). Subclasses may
    override each of the three.

    Attributes:
        indices: channels still to be taken away, in order; the first ``K`` belong to the current batch.
        activations: the current batch, ``K`` copies of one image's activations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.indices: Any = []
        self.activations: Any = None

    def objectiveness_mask_from_svd(self, activations: Any, threshold: float = MASK_THRESHOLD) -> NDArray[np.bool_]:
        """Mark the positions ``(*S)`` where the principal component of ``(C, *S)`` stands out."""
        projection = principal_projection(torch.as_tensor(activations)[None])[0].abs()
        spread = projection.max() - projection.min()
        mask: NDArray[np.bool_] = (projection - projection.min() > threshold * spread).cpu().numpy()
        return mask

    def activations_to_be_ablated(self, activations: Any, ratio_channels_to_ablate: float = 1.0) -> Any:
        """Choose the channels of ``(C, *S)`` that lie most on the object: this share of them, best first.

        Returns:
            Channel indices, which are also kept as ``indices``.
        """
        activations = np.asarray(activations)
        count = len(activations)
        order = np.arange(count)
        if ratio_channels_to_ablate < 1:
            mask = self.objectiveness_mask_from_svd(activations)
            size = np.abs(activations)
            size = size - size.min(axis=tuple(range(1, size.ndim)), keepdims=True)
            total = size.reshape(count, -1).sum(1)
            inside = (size * mask).reshape(count, -1).sum(1)
            share = np.divide(inside, total, out=np.zeros_like(total), where=total > 0)
            order = np.argsort(-share, kind="stable")[: max(1, round(count * ratio_channels_to_ablate))]
        self.indices = order.astype(np.int32)
        return self.indices

    def set_next_batch(self, input_batch_index: int, activations: Any, num_channels_to_ablate: int) -> None:
        """Prepare ``num_channels_to_ablate`` copies of one image's activations, taken from the layer's output."""
        one = activations[input_batch_index : input_batch_index + 1]
        self.activations = one.repeat(num_channels_to_ablate, *[1] * (one.ndim - 1))

    def __call__(self, x: Any) -> Any:
        """Return the prepared copies, each without its channel. What the layer would have computed is not used."""
        for row, channel in enumerate(self.indices[: len(self.activations)]):
            self.activations[row, channel] = 0
        return self.activations


class AblationLayerVit(AblationLayer):
    """The same for tokens and channels-last grids ``(B, ..., C)``: a channel is taken from every token."""

    def __call__(self, x: Any) -> Tensor:
        for row, channel in enumerate(self.indices[: len(self.activations)]):
            self.activations[row, ..., channel] = 0
        activations: Tensor = self.activations
        return activations


class AblationLayerFasterRCNN(AblationLayer):
    """The same for a feature pyramid, a dict of levels ``(B, C_l, h_l, w_l)``: channels are counted level by level."""

    def set_next_batch(
        self, input_batch_index: int, activations: Mapping[str, Tensor], num_channels_to_ablate: int
    ) -> None:
        one = slice(input_batch_index, input_batch_index + 1)
        levels = [(name, level[one].repeat(num_channels_to_ablate, 1, 1, 1)) for name, level in activations.items()]
        self.activations = type(activations)(levels)  # type: ignore[call-arg]

    def __call__(self, x: Any) -> Any:
        levels = list(self.activations.values())
        places = [(level, channel) for level in levels for channel in range(level.shape[1])]
        for row, channel in enumerate(self.indices[: len(levels[0])]):
            level, inside = places[channel]
            level[row, inside] = 0
        return self.activations
