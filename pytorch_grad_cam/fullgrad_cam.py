"""FullGrad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.messages import INCOMPLETE, Note
from pytorch_grad_cam.core import pipeline
from pytorch_grad_cam.core.call import Call, CallOptions, CallResult
from pytorch_grad_cam.core.forward_pass import score_targets
from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.arrays import scale_accross_batch_and_channels, to_numpy
from pytorch_grad_cam.engine.layers import layer_names
from pytorch_grad_cam.engine.layout import InferredReshapeTransform
from pytorch_grad_cam.engine.restore import hooked
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.targets.classification import Target

# A gap of this share of the score is worth a note; below it what is missing is rounding.
GAP = 0.01
_OWN_SCALING = scale_accross_batch_and_channels  # code for grad-cam patches the name in this module


@dataclass(frozen=True)
class _Part:
    """The input or the output of a layer, and what its gradient is multiplied by."""

    name: str
    at: GradientEdge
    factor: Tensor
    channels_last: bool


@dataclass(frozen=True)
class _Contribution:
    """What a part contributed to each image.

    Attributes:
        name: of the layer, or "input".
        total: the sum ``(B,)``.
        drawn: two maps ``(B, *s)``, signed and as the share of the authors' map; None for a part without places.
    """

    name: str
    total: Tensor
    drawn: tuple[Tensor, Tensor] | None = None


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
    attention) the gap is in ``Explanation.notes``. The authors' code resizes with aligned corners and rescales with an
    epsilon of 1e-5; here parts are resized as all maps are, and there is no epsilon, so that the score's scale does not
    matter.
    """

    uses_layers = False

    def __init__(
        self, model: nn.Module, target_layers: Any = None, reshape_transform: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(model, None, None, **kwargs)
        self.target_layers = [module for module in self.model.modules() if bias_of(module) is not None]

    def get_bias_data(self, layer: nn.Module) -> Tensor:
        """Return the bias of one of the layers that take part, one number per channel, detached.

        Raises:
            ValueError: for a layer without one.
        """
        with torch.no_grad():  # a checkpoint would miss what a graph of it saves, when it runs the layer again
            bias = bias_of(layer)
        if bias is None:
            raise ValueError(f"the layer {layer} has no bias that FullGrad knows; target_layers lists those that have")
        return bias.detach()

    @property
    def bias_data(self) -> list[NDArray[np.float32]]:
        """The biases of ``target_layers``, as arrays."""
        return [self.get_bias_data(layer).cpu().numpy() for layer in self.target_layers or []]

    def explain_call(self, call: Call) -> CallResult:
        parts, outputs, targets, scores = self._record_parts(call)
        grads = torch.autograd.grad(scores, [part.at for part in parts], torch.ones_like(scores), allow_unused=True)
        layout = InferredReshapeTransform(self.model, call.inputs)
        contributions = [
            _contribution(grad, part, call, layout)
            for part, grad in zip(parts, grads, strict=True)
            if grad is not None  # a layer that the score does not use contributes nothing
        ]
        drawn = [(part.name, *part.drawn) for part in contributions if part.drawn is not None]
        device = call.inputs.device  # layers may lie on several
        whole = _sum_of_shares([share.to(device) for _, _, share in drawn], call.options)
        total = torch.stack([part.total.to(device) for part in contributions]).sum(0)
        return CallResult(
            targets=targets,
            maps=pipeline.resize_and_aggregate([whole], call.options),
            raw=tuple(raw for _, raw, _ in drawn),
            weights=(None,) * len(drawn),
            outputs=detached(outputs),
            scores=scores.detach(),
            layers=tuple(name for name, _, _ in drawn),
            notes=_gaps(scores.detach().to(device), total),
        )

    def _record_parts(self, call: Call) -> tuple[list[_Part], Any, list[Target], Tensor]:
        """Run the model once and note the input and every layer with a bias; also return outputs, targets, scores."""
        leaf = call.inputs.clone()
        leaf.requires_grad = True
        parts = [_Part("input", get_gradient_edge(leaf), leaf.detach(), False)]
        layers = {*(self.target_layers or [])}
        names = {module: name for module, name in layer_names(self.model).items() if module in layers}

        def note(module: nn.Module, args: Any, output: Tensor) -> None:
            if output.requires_grad:  # the edge stays where it is when an in-place operation follows
                parts.append(
                    _Part(
                        names[module], get_gradient_edge(output), *_placed(module, output, self.get_bias_data(module))
                    )
                )

        with torch.enable_grad(), hooked(names, note):
            outputs = call.run(leaf)
            return parts, outputs, *score_targets(outputs, call.spec, len(call.inputs))


def bias_of(module: nn.Module) -> Tensor | None:
    """Return what a layer adds to its output whatever its input, one number per channel; None if it adds nothing."""
    bias = getattr(module, "bias", None)
    if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
        scale = (module.running_var + module.eps).rsqrt()
        scale = scale if module.weight is None else scale * module.weight
        return -module.running_mean * scale if bias is None else bias - module.running_mean * scale
    known = isinstance(module, (_ConvNd, nn.Linear, nn.LayerNorm, nn.GroupNorm, _BatchNorm, _InstanceNorm))
    return bias if known and isinstance(bias, Tensor) else None


def _placed(module: nn.Module, output: Tensor, bias: Tensor) -> tuple[Tensor, bool]:
    """Return the bias, to broadcast against the layer's output, and whether the channels are the output's last axis."""
    if bias.ndim > 1:  # of a norm over several axes, channels first
        return bias, False
    # Norms named LayerNorm2d and alike put the channels of (B, C, H, W) last and back.
    turns = type(module) is not nn.LayerNorm and output.ndim == 4 and output.shape[1] == len(bias)
    if isinstance(module, nn.Linear) or (isinstance(module, nn.LayerNorm) and not turns):
        return bias, True
    return bias.reshape(-1, *[1] * (output.ndim - 2)), False


def _contribution(grad: Tensor, part: _Part, call: Call, layout: InferredReshapeTransform) -> _Contribution:
    """Multiply gradient and bias, once: layers are large, and this is most of what FullGrad does beside its passes."""
    inputs = call.inputs
    term = maps.working_precision(grad * part.factor)
    placed = term.ndim == inputs.ndim and len(term) == len(inputs)
    if not placed or (
        part.channels_last and not layout.covers(term.shape[1:-1])
    ):  # else windows of places, or no places
        return _Contribution(part.name, _by_image(term, len(inputs)))
    if part.channels_last:
        term = term.movedim(-1, 1)
    raw = term.sum(1)
    sizes = term.abs_()
    if scale_accross_batch_and_channels is not _OWN_SCALING:  # somebody put another here
        scaled = scale_accross_batch_and_channels(to_numpy(sizes), tuple(reversed(call.options.size)))
        return _Contribution(part.name, raw.flatten(1).sum(1), (raw, torch.as_tensor(scaled).to(raw).sum(1)))
    low, spread = maps.low_and_spread(sizes)  # over all channels and positions at once
    share = (sizes.sum(1) - maps.per_image(low * sizes.shape[1], raw)) / maps.per_image(spread, raw)
    return _Contribution(part.name, raw.flatten(1).sum(1), (raw, share))


def _sum_of_shares(shares: Sequence[Tensor], options: CallOptions) -> Tensor:
    """Sum shares ``(B, *s)`` of several sizes in the size that is asked for: those of one size first."""
    if options.eigen_smooth:
        return maps.principal_projection(torch.stack([maps.resize(share, options.size) for share in shares], 1))
    sums: dict[torch.Size, Tensor] = {}
    for share in shares:
        sums[share.shape] = sums[share.shape] + share if share.shape in sums else share
    return torch.stack([maps.resize(total, options.size) for total in sums.values()]).sum(0)


def _by_image(term: Tensor, batch: int) -> Tensor:
    """Sum a layer's contributions per image ``(B,)``; a layer may have several rows of each (windows, frames)."""
    if len(term) % batch:
        raise ValueError(
            f"a layer has {len(term)} rows for a batch of {batch} images, so its biases belong to none of them; "
            "explain one image at a time"
        )
    return term.reshape(batch, -1).sum(1)


def _gaps(scores: Tensor, total: Tensor) -> tuple[tuple[Note, ...], ...]:
    """Say where the contributions do not sum to the score."""
    gap = (scores - total) / torch.maximum(scores.abs(), total.abs())
    return tuple(
        (Note(INCOMPLETE, f"the contributions of input and biases miss {abs(share):.0%} of the score"),)
        if abs(share) > GAP
        else ()
        for share in gap.tolist()
    )
