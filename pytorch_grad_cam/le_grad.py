"""LeGrad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.bases.attention_cam import AttentionCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.engine.attention import Attention, with_head_axis
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.replay import TOLERANCE
from pytorch_grad_cam.engine.restore import replaced_forward
from pytorch_grad_cam.engine.scoring import scores_of, total
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in
from pytorch_grad_cam.targets.classification import Target


class LeGrad(AttentionCAM):
    """Highlights the patches to which more attention, in the last blocks, would raise the score.

    ``E_l(j) = mean_{heads, queries i} relu(ds_l/dP_l(i, j))``; ``s_l`` the score of the network's head on the mean
    token after block ``l``; ``L = sum_l E_l``. The gradient alone, not times attention.

    Args:
        blocks: how many of the last blocks take part; None all. All other arguments as for ``AttentionCAM``.

    Raises:
        ValueError: for no block; when called, if what follows the last block cannot be run alone.

    Source: W. Bousselham, A. Boggust, S. Chaybouti, H. Strobelt and H. Kuehne, 2024, "LeGrad: An Explainability Method
    for Vision Transformers via Feature Formation Sensitivity", arXiv:2404.03214.
    Note: as in the authors' code the mean token counts the prefix tokens, and the last two blocks are the default.
    """

    def __init__(self, *args: Any, blocks: int | None = 2, **kwargs: Any) -> None:
        if blocks is not None and blocks < 1:
            raise ValueError(f"blocks={blocks} leaves nothing to look at; give 1 or more, or None for all")
        super().__init__(*args, **kwargs)
        self.blocks = blocks

    def get_token_maps(
        self,
        call: Call,
        targets: Sequence[Target],
        outputs: Any,
        scores: Tensor | None,
        attentions: Sequence[Attention],
    ) -> dict[str, Tensor]:
        self._check_head(call, outputs, attentions)
        by_block = {}
        for attention in attentions[-(self.blocks or len(attentions)) :]:
            tokens = attention.tokens
            with torch.enable_grad():
                mean = tokens.mean(attention.token_axis, keepdim=True).expand_as(tokens)
                score = scores_of(self._head(call, mean, attentions), targets)  # (B,)
            matrix = attention.matrix
            grad = None
            if score.requires_grad:
                # Only through this block's output projection and MLP: the graph of its tokens begins before it.
                (grad,) = torch.autograd.grad(total(score), matrix, retain_graph=True, allow_unused=True)
            grad = torch.zeros_like(matrix) if grad is None else grad
            by_block[attention.name] = working_precision(with_head_axis(grad)).relu().mean((1, 2))  # (B, N)
        return by_block

    def _head(self, call: Call, tokens: Tensor, attentions: Sequence[Attention]) -> Any:
        """Run what follows the last block on other tokens: the blocks before hand out zeros, which nobody may read."""

        def hand_out(output: Any) -> Callable[..., Any]:
            return lambda original, *args, **kwargs: output

        with ExitStack() as stack:
            for attention in attentions[:-1]:
                stack.enter_context(
                    replaced_forward(attention.block, hand_out(map_tensors(attention.output, torch.zeros_like)))
                )
            last = attentions[-1]
            output = map_tensors(last.output, lambda tensor: tokens if tensor is last.tokens else tensor.detach())
            stack.enter_context(replaced_forward(last.block, hand_out(output)))
            return call.run(call.inputs)

    def _check_head(self, call: Call, outputs: Any, attentions: Sequence[Attention]) -> None:
        """Refuse a network whose outputs are not those of its head on the last block's tokens."""
        with torch.no_grad():
            again = self._head(call, attentions[-1].tokens.detach(), attentions)
        pairs = list(zip(tensors_in(outputs), tensors_in(again), strict=True))
        close = [
            bool(((one - two).abs() <= TOLERANCE.get(one.dtype, 0.0) * float(one.abs().max())).all())
            for one, two in pairs
        ]
        if not all(close) or len({attention.block for attention in attentions}) != len(attentions):
            raise ValueError(
                f"LeGrad needs blocks in a row and a head that reads the last one's tokens; in "
                f"{type(self.model).__name__} what follows block {attentions[-1].name!r} cannot be run alone. Use "
                "AttentionRelevance, which needs no head"
            )
