"""The base of methods whose maps are made of attention matrices instead of a layer's activations."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.messages import Note
from pytorch_grad_cam.core import pipeline
from pytorch_grad_cam.core.call import Call, CallResult
from pytorch_grad_cam.core.forward_pass import finite_values, score_targets
from pytorch_grad_cam.engine import diagnosis
from pytorch_grad_cam.engine.attention import Attention, classifier_tokens, record_attentions, with_head_axis
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.restore import giving_back
from pytorch_grad_cam.engine.tokens import PrefixAndGrid, embedded_grids, prefix_and_grid
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.spec import TargetSpec

log = logging.getLogger(__name__)


class AttentionCAM(BaseCAM):
    """A method that asks a vision transformer's attention: subclasses say how much each token counts.

    Needs self-attention over all tokens in every block, by any package's modules: softmax, ``nn.MultiheadAttention``
    or fused. ``P_l`` is the matrix ``(heads, N, N)`` of block ``l`` after the softmax, row = query. Prefix tokens
    (class, distillation, registers) are dropped from the map.

    Args:
        model: the network.
        target_layers: ignored, kept for the interface: the blocks are found.
        reshape_transform: not used.
        grid: how the patches lie, e.g. ``(14, 14)``; None finds it: the patches' convolution, or else
            the number of tokens and the input's shape, says it.

    Raises:
        ValueError: when called, if the network has no such attention, or its tokens are no grid.
    """

    uses_gradients = False  # of a layer
    uses_layers = False

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        *,
        grid: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, None, None, **kwargs)
        self.target_layers = []
        self.grid = grid

    def get_token_maps(
        self,
        call: Call,
        targets: Sequence[Target],
        outputs: Any,
        scores: Tensor | None,
        attentions: Sequence[Attention],
    ) -> dict[str, Tensor]:
        """Say how much each token counts: the one thing such a method has to say.

        Args:
            call: the images and the model.
            targets: one callable per image; none for a method that asks nothing.
            outputs: of the network, with their graph.
            scores: ``(B,)``, with their graph; None for a method that asks nothing.
            attentions: one per block, first to last.

        Returns:
            By the name of a block its share of every token, ``(B, N)``; the map is the shares' sum.
        """
        raise NotImplementedError(f"{type(self).__name__} must override get_token_maps")

    def explain_call(self, call: Call) -> CallResult:
        options, inputs = call.options, call.inputs
        if options.eigen_smooth:
            log.info("%s has no channels; eigen_smooth is ignored", type(self).__name__)
        leaf = inputs.clone()
        leaf.requires_grad = leaf.is_floating_point()  # so that there is a graph, in a frozen network too
        targets: list[Target] = []
        scores = None
        with torch.enable_grad():
            outputs, attentions = record_attentions(self.model, lambda: call.run(leaf), len(leaf))
            if self.uses_targets:
                targets, scores = score_targets(outputs, call.spec, len(inputs))
        by_block = self.get_token_maps(call, targets, outputs, scores, attentions)
        raws, nonfinite = self._grids(call, by_block, attentions[0].matrix.shape[-1])
        whole = torch.stack(raws).sum(0)
        names = tuple(by_block)
        facts = diagnosis.LayerFacts.without_gradients(names[-1], nonfinite)
        return CallResult(
            targets=targets,
            maps=pipeline.resize_and_aggregate([whole], options),
            raw=tuple(raws),
            weights=(None,) * len(raws),
            outputs=detached(outputs),
            scores=None if scores is None else scores.detach(),
            layers=names,
            notes=tuple(diagnosis.notes_on(facts, whole, options.relu)),
        )

    def head_maps(self, input_tensor: Any, **options: Any) -> dict[str, Tensor]:
        """Show where each head of each block looks from the token that the head reads, whatever the method.

        Args:
            input_tensor: as for ``explain``.
            **options: ``forward_kwargs`` and ``image``, as for ``explain``.

        Returns:
            By the name of each block, in their order, ``(B, heads, *s)``: the attention of the class token to each
            patch or, where the head averages tokens, the mean of theirs. What goes to other tokens is left out, so that
            the sum over the patches is at most 1.

        Raises:
            ValueError: if the network has no such attention, its tokens are no grid, or none of them matters.
        """
        return head_maps(self, input_tensor, options)

    def patches(self, call: Call, tokens: int) -> PrefixAndGrid:
        """Say how many tokens come before those of the patches, and how the patches lie."""
        size = tuple(call.inputs.shape[2:])
        embedded = embedded_grids(self.model, call.inputs.shape[1], size)
        return prefix_and_grid(tokens, size, self.grid, embedded)

    def _grids(
        self, call: Call, by_block: Mapping[str, Tensor], tokens: int
    ) -> tuple[list[Tensor], Sequence[Note | None]]:
        """Put the shares of all tokens ``(B, N)`` on the grid of patches: ``(B, *s)`` per block."""
        prefix, grid = self.patches(call, tokens)
        on_grid = [shares.detach()[:, prefix:].reshape(-1, *grid) for shares in by_block.values()]  # (B, *s) each
        totals, _ = diagnosis.read_together([*map(diagnosis.finite_sum, on_grid)])
        raws: list[Tensor] = []
        nonfinite: Sequence[Note | None] = (None,) * len(call.inputs)
        for name, values, total in zip(by_block, on_grid, totals, strict=True):
            what = f"attentions of block {name!r} or their gradients"
            raw, bad = finite_values(values, what, call.options.allow_nonfinite, total)
            nonfinite = tuple(a or b for a, b in zip(nonfinite, bad, strict=True))
            raws.append(raw)
        return raws, nonfinite


@giving_back
def head_maps(method: AttentionCAM, inputs: Any, options: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return what ``AttentionCAM.head_maps`` does."""
    call = pipeline.prepare(method, inputs, (TargetSpec(None),), False, options)
    by_block: dict[str, list[Tensor]] = {}
    with pipeline.guest_of(call):
        for part, count in pipeline.batches(call):
            leaf = part.inputs.clone()
            leaf.requires_grad = leaf.is_floating_point()  # by its graph the tokens are found that the head reads
            with torch.enable_grad():
                outputs, attentions = record_attentions(method.model, partial(part.run, leaf), len(leaf))
            rows = classifier_tokens(outputs, attentions[-1])
            if not len(rows):
                raise ValueError("the outputs depend on no token after the last block, so there is none to look from")
            prefix, grid = method.patches(part, attentions[0].matrix.shape[-1])
            for attention in attentions:
                matrix = working_precision(with_head_axis(attention.matrix.detach()))[:count]
                shares = matrix[:, :, rows, prefix:].mean(2)  # (B, heads, n)
                by_block.setdefault(attention.name, []).append(shares.reshape(*shares.shape[:2], *grid))
    return {name: torch.cat(parts) for name, parts in by_block.items()}
