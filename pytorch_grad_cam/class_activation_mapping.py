"""CAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.engine.executed_layers import executed_layers
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.maps import spatial_mean, working_precision
from pytorch_grad_cam.engine.replay import TOLERANCE
from pytorch_grad_cam.engine.restore import hooked
from pytorch_grad_cam.engine.scoring import scores_of
from pytorch_grad_cam.targets.classification import Target


class CAM(BaseCAM):
    """Highlights the features that the network's own last linear layer counts for the class. No gradient.

    ``w_k = W_ck``; ``L = sum_k W_ck A_k``, whose mean over the positions plus ``b_c`` is the logit. ``W`` is the linear
    layer, or the convolution of size 1, that follows the layer and global average pooling in either order; or the
    identity where the layer has a channel per class, as before the pooling of SqueezeNet.

    Whether the network is of that form is checked on every input: the pooled activations times ``W`` plus ``b`` must
    be its output.

    Raises:
        ValueError: if the network is of another form, or a target is not a sum of logits.

    Source: B. Zhou, A. Khosla, A. Lapedriza, A. Oliva and A. Torralba, 2016, "Learning Deep Features for Discriminative
    Localization", arXiv:1512.04150.
    Note: the paper has no ReLU; ``relu=False`` shows the map as it has it. For another sum of logits than one of them,
    such as the difference of two, the weights are summed alike.
    """

    uses_gradients = False

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        matrix = _head(self.model, target_layer, spatial_mean(activations), self.outputs)  # (M, C)
        logits = working_precision(self.outputs)
        rows, no_sums = zip(
            *(_coefficients(target, row) for target, row in zip(targets, logits, strict=True)), strict=True
        )
        if torch.stack(no_sums).any():
            raise ValueError(
                "CAM explains a logit or a sum of logits, and this target is neither (a probability?); give a class "
                "index, or use GradCAM"
            )
        with torch.autocast(activations.device.type, enabled=False):  # the network's half precision is not for this
            return torch.stack(rows).to(matrix) @ matrix  # (B, C)

    def choose_layers(self, call: Call) -> list[nn.Module]:
        """Find the layer whose mean the linear layer, or nothing, turns into the outputs.

        Mostly it is the automatic choice. In SqueezeNet it lies behind that: what makes a channel per class.
        """
        (*_, automatic) = super().choose_layers(call)
        executed, outputs = executed_layers(self.model, partial(call.run, call.inputs))
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            return [automatic]
        per_class = [
            layer.module
            for layer in executed
            if isinstance(layer.output, Tensor)
            and layer.output.ndim == call.inputs.ndim
            and layer.output.shape[1] == outputs.shape[1]
            and layer.output[0, 0].numel() > 1
        ]
        means: dict[nn.Module, Tensor] = {}

        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == call.inputs.ndim:
                means[module] = spatial_mean(working_precision(output))

        with hooked(dict.fromkeys([automatic, *per_class]), keep):
            call.run(call.inputs)
        for layer in [automatic, *reversed(per_class)]:
            if layer in means and _misses(self.model, means[layer], outputs)[0] is not None:
                return [layer]
        return [automatic]


def _head(model: nn.Module, layer: nn.Module, pooled: Tensor, outputs: Any) -> Tensor:
    """Return the linear map ``(M, C)`` that turns pooled activations ``(B, C)``, but for a bias, into the outputs."""
    name = layer_name(model, layer)
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        form = f"a tensor {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(f"CAM needs a network that returns one logit per class (B, M), not {form}; use GradCAM")
    matrix, misses = _misses(model, pooled, outputs)
    if matrix is not None:
        return matrix
    best = (
        f"the nearest, {min(misses)[1]}, misses it by {min(misses)[0]:.0%}" if misses else "there is none of that size"
    )
    raise ValueError(
        f"CAM needs global average pooling and one linear layer after the target layer, and nothing else: no linear "
        f"layer or 1x1 convolution from {pooled.shape[1]} channels to {outputs.shape[1]} outputs turns the mean of "
        f"layer {name!r} into the network's output ({best}). Choose the last layer before the pooling; for a network "
        "of another form use GradCAM, which is CAM where both apply"
    )


def _misses(model: nn.Module, pooled: Tensor, outputs: Tensor) -> tuple[Tensor | None, list[tuple[float, str]]]:
    """Find the linear map that turns pooled activations into the outputs; and of those that do not, by how much."""
    wanted = (outputs.shape[1], pooled.shape[1])
    misses: list[tuple[float, str]] = []
    heads = [("the pooling alone", torch.eye(wanted[0], device=pooled.device), None)] if wanted[0] == wanted[1] else []
    heads += [
        (repr(label), module.weight, module.bias) for label, module in model.named_modules() if _is_linear(module)
    ]
    for label, weight, bias in heads:
        matrix = weight.detach().flatten(1).to(pooled)
        if tuple(matrix.shape) != wanted:
            continue
        with torch.autocast(pooled.device.type, enabled=False):  # the network's half precision is not for this
            logits = pooled @ matrix.T  # (B, M)
        logits = logits if bias is None else logits + bias.detach().to(pooled)
        miss = float((logits - outputs).abs().max() / outputs.abs().max().clamp_min(torch.finfo(pooled.dtype).tiny))
        if miss <= TOLERANCE.get(outputs.dtype, 0.0):
            return matrix, misses
        misses.append((miss, label))
    return None, misses


def _is_linear(module: nn.Module) -> bool:
    """Say whether a module maps each position's channels linearly."""
    if isinstance(module, _ConvNd):
        return set(module.kernel_size) == {1} and module.groups == 1 and not module.transposed
    return isinstance(module, nn.Linear)


def _coefficients(target: Callable[[Any], Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much each of one image's logits ``(M,)`` counts in its target, and whether that is no sum of them."""
    with torch.enable_grad():
        leaf = logits.detach().clone()
        leaf.requires_grad = True
        (score,) = scores_of(leaf[None], [target])
        doubled = scores_of(2 * leaf.detach()[None], [target])[0]
        grad = torch.autograd.grad(score, leaf)[0] if score.requires_grad else torch.zeros_like(leaf)
    gained = (grad * leaf.detach()).sum()
    # A sum of logits grows with them in proportion.
    missed = (doubled - score.detach() - gained).abs()
    return grad, missed > 1e-3 * torch.maximum(gained.abs(), leaf.detach().abs().max())
