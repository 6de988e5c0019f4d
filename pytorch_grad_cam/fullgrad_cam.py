"""FullGrad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.restore import hooked
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.explanation import Explanation
from pytorch_grad_cam.options import How
from pytorch_grad_cam.trace import asked
from pytorch_grad_cam.utils.model_targets import Target, Targets, category_of

# A gap of this share of the score is worth a note; below it what is missing is rounding.
GAP = 0.01


class FullGrad(BaseCAM):
    """Highlights what the input and every bias of the network contributed to the score.

    ``psi(x * ds/dx) + sum_l sum_k psi((ds/dz_l)_k b_lk)``, ``psi = U(rescale(|.|))``, rescaling each layer's tensor of
    an image to [0, 1] as a whole. ``b_l`` is the bias of a convolution, or of a batch norm once its running mean is
    counted in, or the additive one of another norm.

    Args:
        model: the network.
        target_layers: ignored, kept for the interface: all layers with a bias take part.
        reshape_transform: not used.

    Source: S. Srinivas and F. Fleuret, 2019, "Full-Gradient Representation for Neural Network Visualization",
    arXiv:1905.00780, equation 5 and section 4.
    Note: for a piecewise linear network the signed terms sum to the score exactly. Biases without positions (linear
    layers) are counted in that sum but cannot be drawn. Where the sum misses the score (activations other than ReLU,
    attention) the gap is in ``Explanation.notes``.
    """

    uses_layers = False

    def __init__(
        self, model: nn.Module, target_layers: Any = None, reshape_transform: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(model, None, None, **kwargs)
        self.target_layers = [module for module in model.modules() if bias_of(module) is not None]

    def _explain_view(
        self, inputs: Tensor, targets: Targets, how: How, undo: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Explanation, list[Target]]:
        leaf = inputs.clone()
        leaf.requires_grad = True
        calls: list[tuple[str, Tensor, Tensor]] = [("input", leaf, leaf)]
        names = {module: layer_name(self.model, module) for module in self.target_layers or []}

        def keep(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            calls.append((names[module], output, _placed(module, output)))
            return output.clone()  # an in-place operation that follows must not change what the gradient belongs to

        with torch.enable_grad(), hooked(names, keep):
            outputs = self.network(leaf)
            each, scores = asked(outputs, targets, inputs, undo)
        where = [output for _, output, _ in calls]
        grads = torch.autograd.grad(scores, where, torch.ones_like(scores), allow_unused=True)
        # Signed contributions of the input and of every bias; a layer that the score does not use has none.
        terms = [
            (name, maps.working_precision(grad * factor.detach()))
            for (name, _, factor), grad in zip(calls, grads, strict=True)
            if grad is not None
        ]
        drawn = [(name, term) for name, term in terms if term.ndim == inputs.ndim]
        shares = torch.stack([maps.resize(_rescaled(term).sum(1), how.size) for _, term in drawn], 1)  # (B, L, *S)
        whole = maps.principal_projection(shares) if how.eigen_smooth else shares.sum(1)
        notes = _gaps(scores.detach(), torch.stack([_by_image(term, len(inputs)) for _, term in terms]).sum(0))
        explanation = Explanation(
            maps=how.finish([whole]),
            raw=tuple(term.sum(1) for _, term in drawn),
            weights=(None,) * len(drawn),
            outputs=detached(outputs),
            scores=scores.detach(),
            classes=tuple(map(category_of, each)),
            layers=tuple(name for name, _ in drawn),
            notes=notes,
        )
        return explanation, each


def bias_of(module: nn.Module) -> Tensor | None:
    """Return what a layer adds to its output whatever its input, one number per channel; None if it adds nothing."""
    bias = getattr(module, "bias", None)
    if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
        scale = (module.running_var + module.eps).rsqrt()
        scale = scale if module.weight is None else scale * module.weight
        return -module.running_mean * scale if bias is None else bias - module.running_mean * scale
    known = isinstance(module, (_ConvNd, nn.Linear, nn.LayerNorm, nn.GroupNorm, _BatchNorm, _InstanceNorm))
    return bias if known and isinstance(bias, Tensor) else None


def _placed(module: nn.Module, output: Tensor) -> Tensor:
    """Return the layer's bias in a form that broadcasts against its output."""
    bias = bias_of(module)
    assert bias is not None
    if isinstance(module, (nn.Linear, nn.LayerNorm)):
        return bias  # the last axes
    return bias.reshape(-1, *[1] * (output.ndim - 2))


def _by_image(term: Tensor, batch: int) -> Tensor:
    """Sum a layer's contributions per image ``(B,)``; a layer may have several rows of each (windows, frames)."""
    if len(term) % batch:
        raise ValueError(
            f"a layer has {len(term)} rows for a batch of {batch} images, so its biases belong to none of them; "
            "explain one image at a time"
        )
    return term.reshape(batch, -1).sum(1)


def _rescaled(term: Tensor) -> Tensor:
    """Return ``|term|`` of each image stretched to [0, 1] over all channels and positions at once."""
    return maps.unit_range(term.abs())


def _gaps(scores: Tensor, total: Tensor) -> tuple[tuple[str, ...], ...]:
    """Say where the contributions do not sum to the score."""
    gap = (scores - total) / torch.maximum(scores.abs(), total.abs())
    return tuple(
        (f"the contributions of input and biases miss {abs(each):.0%} of the score",) if abs(each) > GAP else ()
        for each in gap.tolist()
    )
