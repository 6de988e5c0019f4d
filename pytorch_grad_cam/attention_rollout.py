"""Attention rollout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.bases.attention_cam import AttentionCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.engine.attention import Attention, classifier_tokens, with_head_axis
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.targets.classification import Target

FUSIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda matrix: matrix.mean(1),
    "max": lambda matrix: matrix.amax(1),
    "min": lambda matrix: matrix.amin(1),
}


class AttentionRollout(AttentionCAM):
    """Highlights the patches whose tokens reach the head through the attention of all blocks, whatever the class.

    ``R = M_m ... M_1``, ``M_l = (mean_heads P_l + I) / 2``, whose rows sum to 1; the map is the row of the token that
    the head reads (the class token), or the mean of the rows of those it averages.

    Args: as for ``AttentionCAM``, and
        head_fusion: what stands for all heads of a block: their "mean", as published, "max" or "min", entry by entry.
        discard_ratio: this share of the entries of each fused matrix, the lowest, counts as 0; in [0, 1). Rows are then
            divided by their sums, as they are for "max" and "min".

    Raises:
        ValueError: for another fusion, or a share outside of [0, 1); else as ``AttentionCAM``.

    Source: S. Abnar and W. Zuidema, 2020, "Quantifying Attention Flow in Transformers", arXiv:2005.00928, for the
    defaults. The other fusions and the share come from a popular implementation, which differs in that it divides
    columns by the sums of rows, and counts all images of a batch together.
    """

    uses_targets = False

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        *,
        head_fusion: str = "mean",
        discard_ratio: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, **kwargs)
        self.head_fusion, self.discard_ratio = head_fusion, discard_ratio
        self._check_options()

    def _check_options(self) -> None:
        if self.head_fusion not in FUSIONS:
            raise ValueError(f"head_fusion={self.head_fusion!r} is unknown; choose one of {', '.join(FUSIONS)}")
        if not 0 <= self.discard_ratio < 1:
            raise ValueError(f"discard_ratio={self.discard_ratio} must be a share from 0 to below 1")

    def get_token_maps(
        self,
        call: Call,
        targets: Sequence[Target],
        outputs: Any,
        scores: Tensor | None,
        attentions: Sequence[Attention],
    ) -> dict[str, Tensor]:
        self._check_options()  # they may have been set since
        rows = classifier_tokens(outputs, attentions[-1])
        # One row after another from the last block to the first: (B, 1, N) instead of (B, N, N) products.
        first = working_precision(attentions[-1].matrix.detach())
        rollout = torch.zeros(len(call.inputs), 1, first.shape[-1], dtype=first.dtype, device=first.device)
        rollout[:, :, rows] = 1 / max(len(rows), 1)
        with torch.autocast(first.device.type, enabled=False):  # the network's half precision is not for this
            for attention in reversed(attentions):
                fused = self._fused(working_precision(with_head_axis(attention.matrix.detach())))
                rollout = (rollout @ fused + rollout) / 2
        return {attentions[-1].name: rollout[:, 0]}

    def _fused(self, matrix: Tensor) -> Tensor:
        """Make one matrix ``(B, N, N)`` of those of all heads ``(B, heads, N, N)``, whose rows sum to 1."""
        fused = FUSIONS[self.head_fusion](matrix)
        if self.discard_ratio:
            flat = fused.flatten(1)
            count = int(self.discard_ratio * flat.shape[1])
            lowest = flat.topk(count, 1, largest=False).indices
            fused = flat.scatter(1, lowest, 0.0).reshape(fused.shape)
        elif self.head_fusion == "mean":
            return fused
        sums = fused.sum(-1, keepdim=True)
        return fused / sums.where(sums > 0, 1)  # a row of zeros stays one: the token keeps to itself
