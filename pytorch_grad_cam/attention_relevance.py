"""Generic attention relevance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.bases.attention_cam import AttentionCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.engine.attention import Attention, classifier_tokens, with_head_axis
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.scoring import total
from pytorch_grad_cam.targets.classification import Target


class AttentionRelevance(AttentionCAM):
    """Highlights the patches that the attention brings to the head, where that raises the score.

    ``R <- R + mean_heads relu(dP_l * P_l) R`` from the first block to the last, ``R = I`` at the start,
    ``dP_l = ds/dP_l``; the map is the row of the token that the head reads (the class token), or the mean of the rows
    of those it averages.

    Args: as for ``AttentionCAM``.

    Source: H. Chefer, S. Gur and L. Wolf, 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal and
    Encoder-Decoder Transformers", arXiv:2103.15679. The self-attention rule.
    """

    def get_token_maps(
        self,
        call: Call,
        targets: Sequence[Target],
        outputs: Any,
        scores: Tensor | None,
        attentions: Sequence[Attention],
    ) -> dict[str, Tensor]:
        assert scores is not None
        matrices = [attention.matrix for attention in attentions]
        rows = classifier_tokens(outputs, attentions[-1])
        grads: Sequence[Tensor | None] = [None] * len(matrices)
        if scores.requires_grad:
            grads = torch.autograd.grad(total(scores), matrices, allow_unused=True)
        first = working_precision(matrices[0].detach())
        relevance = torch.zeros(len(call.inputs), 1, first.shape[-1], dtype=first.dtype, device=first.device)
        relevance[:, :, rows] = 1 / max(len(rows), 1)
        # A row of R_m = (I + A_m) ... (I + A_1), one block after another from the last: (B, 1, N).
        with torch.autocast(first.device.type, enabled=False):  # the network's half precision is not for this
            for matrix, grad in reversed(list(zip(matrices, grads, strict=True))):
                if grad is not None:
                    gained = working_precision(with_head_axis(grad)) * working_precision(
                        with_head_axis(matrix.detach())
                    )
                    relevance = relevance + relevance @ gained.relu().mean(1)
        return {attentions[-1].name: relevance[:, 0]}
