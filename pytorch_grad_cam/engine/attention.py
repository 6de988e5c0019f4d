"""Attention matrices of a transformer, with their graph, whatever package its blocks come from.

Attention that is computed by a softmax shows its matrix there. Fused attention never makes one: it is computed
explicitly instead, and held against the fused result. Both are met by intercepting torch's own functions in this
thread while the model runs, so no module of the model is exchanged, and its code runs as ever.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from pytorch_grad_cam.engine.executed_layers import executed_layers
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.replay import TOLERANCE
from pytorch_grad_cam.engine.restore import intercepting, replaced_forward
from pytorch_grad_cam.engine.trees import tensors_in

# A token counts as read if the outputs react to it with this share of what they do to the strongest.
_LEAST_SHARE = 1e-6

_SHOWN = 6  # matrices in a message

_SOFTMAX_FUNCTIONS = (torch.softmax, Tensor.softmax, F.softmax, torch.special.softmax)


@dataclass(frozen=True)
class Attention:
    """Holds one self-attention as it ran.

    Attributes:
        matrix: ``(B, heads, N, N)``, or ``(B, N, N)`` for one head, after the softmax; row = query. Part of the graph
            of what follows.
        block: the transformer block it belongs to.
        name: of the block.
        output: what the block returned.
    """

    matrix: Tensor
    block: nn.Module
    name: str
    output: Any

    @property
    def tokens(self) -> Tensor:
        """Return the tokens after the block, with their graph: ``(B, N, C)`` or, in some networks, ``(N, B, C)``."""
        return next(tensors_in(self.output))

    @property
    def token_axis(self) -> int:
        """Return which axis of ``tokens`` counts the tokens."""
        return 1 if self.tokens.shape[1] == self.matrix.shape[-1] else 0


def with_head_axis(matrix: Tensor) -> Tensor:
    """Return an attention matrix, or its gradient, with an axis of heads: ``(B, heads, N, N)``."""
    return matrix if matrix.ndim == 4 else matrix[:, None]


def classifier_tokens(outputs: Any, last: Attention) -> Tensor:
    """Find the tokens that the classifier reads: class and distillation tokens, or all that it averages.

    Args:
        outputs: of the network, with their graph.
        last: the last attention.

    Returns:
        Indices of tokens: those whose change, after the last block, changes the outputs; none if none does.
    """
    with torch.enable_grad():
        squares = [tensor.float().square().sum() for tensor in tensors_in(outputs) if tensor.requires_grad]
        total = torch.stack(squares).sum()
    grad = torch.autograd.grad(total, last.tokens, retain_graph=True)[0].float()
    reaction = grad.abs().amax([axis for axis in range(3) if axis != last.token_axis])  # (N,)
    return (reaction > _LEAST_SHARE * reaction.max()).nonzero()[:, 0]


def record_attentions(model: nn.Module, run: Callable[[], Any], batch: int) -> tuple[Any, list[Attention]]:
    """Run the model and keep the matrix of every self-attention over all of its tokens.

    Args:
        model: in evaluation mode, with graph or without, as the caller's gradient mode says.
        run: runs it once.
        batch: number of images ``B``.

    Returns:
        What ``run`` returned, and the attentions in the order in which they ran, with equal numbers of tokens.

    Raises:
        ValueError: if there is none, or their numbers of tokens differ; the message lists what was found.
        RuntimeError: if computing a fused attention explicitly gives another result.
    """
    recorder = _AttentionRecorder(model, batch)
    with recorder.tracking_modules(), intercepting(recorder):
        outputs = run()
    attentions = recorder.attentions()
    if len({attention.matrix.shape[-1] for attention in attentions}) == 1 and not recorder.reduces_tokens:
        return outputs, attentions
    matrices = list(dict.fromkeys(recorder.descriptions))
    shown = "; ".join(matrices[:_SHOWN]) or "no attention at all (no softmax over tokens, no fused attention)"
    shown += f"; ... ({len(matrices)} in all)" if len(matrices) > _SHOWN else ""
    raise ValueError(
        f"attention over all tokens, the same in every block, is needed, and {type(model).__name__} shows: {shown}. "
        "Windowed, hierarchical and compiled transformers have none; use a method over activations, such as HiResCAM"
    )


def first_norm_of_last_block(model: nn.Module, run: Callable[[], Any], batch: int) -> nn.Module:
    """Find the norm that the last transformer block begins with.

    Raises:
        ValueError: if there is no attention, or no norm in its block.
    """
    executed, (_, attentions) = executed_layers(model, lambda: record_attentions(model, run, batch))
    block = attentions[-1].block
    inside = set(block.modules())
    for layer in executed:
        if layer.module in inside and "norm" in type(layer.module).__name__.lower():
            return layer.module
    raise ValueError(
        f"the last block {layer_name(model, block)!r} has no norm; give target_layers, the layer that the "
        "block begins with"
    )


class _AttentionRecorder(TorchFunctionMode):
    """Intercepts every torch function of this thread, keeps attention matrices and knows which modules are running."""

    def __init__(self, model: nn.Module, batch: int) -> None:
        super().__init__()
        self._model, self._batch = model, batch
        self._running: list[nn.Module] = []  # from the outermost module to the innermost
        self._matrices: list[tuple[list[nn.Module], Tensor]] = []  # the modules around each, and the matrix
        self._returned: dict[nn.Module, Any] = {}
        self._container_members = {
            child
            for module in model.modules()
            if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
            for child in module.children()
        }
        self._before_reduced: int | None = None  # how many matrices over all tokens ran before the first over fewer
        self.descriptions: list[str] = []  # of every matrix, also of those that are not kept

    @property
    def reduces_tokens(self) -> bool:
        """Say whether blocks before the last attend to fewer tokens than there are, in windows or after pooling."""
        return self._before_reduced is not None and self._before_reduced < len(self._matrices)

    def attentions(self) -> list[Attention]:
        """Return the recorded matrices, each with its block, where that returns the tokens."""
        attentions = []
        for path, matrix in self._matrices:
            # The member of a list of blocks around the module that attends, or that module itself.
            around = [module for module in path[:-1] if module in self._container_members] or path[-1:]
            block = around[-1]
            output = self._returned.get(block)
            tokens = next(tensors_in(output), None)
            if tokens is not None and tokens.ndim == 3 and matrix.shape[-1] in tokens.shape[:2]:
                attentions.append(Attention(matrix, block, layer_name(self._model, block), output))
        return attentions

    @contextmanager
    def tracking_modules(self) -> Iterator[None]:
        """Know which modules run, and what they return, while the block lasts; leaves of the tree are too many."""

        def tracked(module: nn.Module, original: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            self._running.append(module)
            self._returned[module] = output = original(*args, **kwargs)
            self._running.pop()
            return output

        with ExitStack() as stack:
            for module in self._model.modules():
                if next(module.children(), None) is not None and not isinstance(module, torch.jit.ScriptModule):
                    stack.enter_context(replaced_forward(module, partial(tracked, module)))
            yield

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            return self._checked_against(func, self._explicit_attention(*args, **kwargs), args, kwargs)
        if func is F.multi_head_attention_forward:
            return self._explicit_multi_head_attention(func, args, kwargs)
        result = func(*args, **kwargs)
        if func in _SOFTMAX_FUNCTIONS and result.ndim > 2 and result.shape[-1] > 1:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
            if axis in (-1, result.ndim - 1):
                self._keep(result)
        return result

    def _keep(self, matrix: Tensor) -> None:
        """Keep an attention matrix if it is one over all tokens of each image."""
        self.descriptions.append(f"{self._innermost_name()}: {tuple(matrix.shape)}")
        square = matrix.shape[-1] == matrix.shape[-2] and matrix.ndim in (3, 4) and matrix.shape[0] == self._batch
        if square and self._running:
            self._matrices.append((list(self._running), matrix))
        elif self._before_reduced is None and matrix.ndim == 4 and matrix.shape[-2] > 1:
            # A single query is that of a class token, which reads all others.
            self._before_reduced = len(self._matrices)

    def _explicit_attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Compute what ``scaled_dot_product_attention`` does, and keep the matrix."""
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
        logits = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
        if is_causal:
            later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(1)
            logits = logits.masked_fill(later, -torch.inf)
        if attn_mask is not None:
            masked = attn_mask.dtype == torch.bool
            logits = logits.masked_fill(~attn_mask, -torch.inf) if masked else logits + attn_mask
        matrix = logits.softmax(-1)
        self._keep(matrix)
        return matrix.to(value.dtype) @ value

    def _explicit_multi_head_attention(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Compute what ``multi_head_attention_forward`` does by the explicit path, where it is plain self-attention."""
        bound = inspect.signature(func).bind(*args, **kwargs)
        bound.apply_defaults()
        call = SimpleNamespace(**bound.arguments)
        extra = (call.bias_k, call.bias_v, call.static_k, call.static_v)
        if call.query.ndim != 3 or call.add_zero_attn or any(tensor is not None for tensor in extra):
            return func(*args, **kwargs)
        if call.use_separate_proj_weight:
            weights = (call.q_proj_weight, call.k_proj_weight, call.v_proj_weight)
        else:
            weights = call.in_proj_weight.chunk(3)
        biases = (None,) * 3 if call.in_proj_bias is None else call.in_proj_bias.chunk(3)
        query, key, value = (  # (B, heads, N, d) each
            F.linear(tokens, weight, bias).reshape(*tokens.shape[:2], call.num_heads, -1).permute(1, 2, 0, 3)
            for tokens, weight, bias in zip((call.query, call.key, call.value), weights, biases, strict=True)
        )
        bias = _additive_mask(call.attn_mask, query)
        if bias is not None and bias.ndim == 3:
            bias = bias.reshape(-1, call.num_heads, *bias.shape[1:])  # (B, heads, N, N)
        padding = _additive_mask(call.key_padding_mask, query)
        if padding is not None:
            bias = padding[:, None, None] if bias is None else bias + padding[:, None, None]
        mixed = self._explicit_attention(query, key, value, bias).permute(2, 0, 1, 3).flatten(2)  # (N, B, C)
        output = self._checked_against(func, F.linear(mixed, call.out_proj_weight, call.out_proj_bias), args, kwargs)
        return output, func(*args, **kwargs)[1] if call.need_weights else None

    def _checked_against(self, func: Any, output: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        """Return an explicitly computed output, or raise a RuntimeError if the function itself gives another one."""
        with torch.no_grad():
            expected = next(tensors_in(func(*args, **kwargs)))
            tolerance = TOLERANCE.get(expected.dtype, 0.0) * float(expected.abs().max())
            if bool(((output - expected).abs() <= tolerance).all()):
                return output
        raise RuntimeError(
            f"attention ({self._innermost_name()}) computed explicitly differs from what the network computes; use a "
            "method over activations, such as GradCAM"
        )

    def _innermost_name(self) -> str:
        """Return the name of the module that is running."""
        return layer_name(self._model, self._running[-1]) if self._running else "outside of any module"


def _additive_mask(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """Return what a mask of ``nn.MultiheadAttention`` adds to the logits: bool masks mark what must not be seen."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(mask, -torch.inf)
