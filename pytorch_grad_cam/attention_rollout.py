"""Attention rollout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.bases.attention_cam import AttentionCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.engine.attention import Attention, classifier_tokens, with_head_axis
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.targets.classification import Target


class AttentionRollout(AttentionCAM):
    """Highlights the patches whose tokens reach the head through the attention of all blocks, whatever the class.

    ``R = M_m ... M_1``, ``M_l = (mean_heads P_l + I) / 2``, whose rows sum to 1; the map is the row of the token that
    the head reads (the class token), or the mean of the rows of those it averages.

    Args: as for ``AttentionCAM``.

    Source: S. Abnar and W. Zuidema, 2020, "Quantifying Attention Flow in Transformers", arXiv:2005.00928.
    Note: nothing is thrown away. A popular implementation drops the lowest nine tenths of the entries and divides
    columns by the sums of rows.
    """

    uses_targets = False

    def get_token_maps(
        self,
        call: Call,
        targets: Sequence[Target],
        outputs: Any,
        scores: Tensor | None,
        attentions: Sequence[Attention],
    ) -> dict[str, Tensor]:
        rows = classifier_tokens(outputs, attentions[-1])
        # One row after another from the last block to the first: (B, 1, N) instead of (B, N, N) products.
        first = working_precision(attentions[-1].matrix.detach())
        rollout = torch.zeros(len(call.inputs), 1, first.shape[-1], dtype=first.dtype, device=first.device)
        rollout[:, :, rows] = 1 / max(len(rows), 1)
        with torch.autocast(first.device.type, enabled=False):  # the network's half precision is not for this
            for attention in reversed(attentions):
                mean = working_precision(with_head_axis(attention.matrix.detach())).mean(1)  # (B, N, N)
                rollout = (rollout @ mean + rollout) / 2
        return {attentions[-1].name: rollout[:, 0]}
