"""The record of one forward pass: outputs, activations of the target layers, gradients on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.restore import hooked
from pytorch_grad_cam.engine.trees import detached, map_tensors, tensors_in

ReshapeTransform = Callable[[Any], Tensor]


class ActivationsAndGradients:
    """Run a model once and keep what its target layers returned.

    The hooks exist only while the model runs. The graph begins at the first target layer: what comes before runs
    without one, so nobody's ``.grad`` is written, a frozen network works, and the price is little more than that of
    a plain forward pass.

    Args:
        model: the network.
        target_layers: modules of ``model``, in any order.
        reshape_transform: from a layer's own output to ``(B, C, *S)``; None if it is that already.
        gradients: whether a graph is needed.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Sequence[nn.Module],
        reshape_transform: ReshapeTransform | None = None,
        *,
        gradients: bool = True,
    ) -> None:
        self.model = model
        self.target_layers = list(target_layers)
        self.reshape_transform = reshape_transform
        self._gradients = gradients
        self._kept: dict[nn.Module, Any] = {}
        self._gradients_found: list[Any] = []

    def __call__(self, *inputs: Any, whole_graph: bool = False) -> Any:
        """Run the model.

        Args:
            *inputs: handed to the model as they are.
            whole_graph: gradient mode is on from the start. Needed where the network turns it off around a part of
                itself: leaving that part would otherwise also end the graph that began inside it.

        Returns:
            What the model returned, with a graph from the first target layer on.

        Raises:
            RuntimeError: if a target layer does not run, or runs in inference mode.
        """
        self._kept = {}
        layers = dict.fromkeys(self.target_layers)
        with torch.set_grad_enabled(whole_graph and self._gradients), hooked(layers, self._keep):
            outputs = self.model(*inputs)
        for layer in self.target_layers:
            if layer not in self._kept:
                raise RuntimeError(
                    f"the target layer {layer_name(self.model, layer)!r} did not run in this forward pass, so there is "
                    "nothing to explain there; choose a layer that the model uses for this input"
                )
        return outputs

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Keep a copy of the output and hand on another, so that a following in-place operation changes neither."""
        if any(tensor.is_inference() for tensor in tensors_in(output)):
            raise RuntimeError(
                f"the target layer {layer_name(self.model, module)!r} runs under torch.inference_mode() inside the "
                "model, where no gradient can exist; use torch.no_grad() there instead"
            )
        if not self._gradients:
            self._kept[module] = map_tensors(output, torch.clone)
            return None
        torch.set_grad_enabled(True)  # ends with the block around the model
        # The graph begins at the first target layer; a later one must stay connected to it.
        self._kept[module] = map_tensors(output, torch.clone if self._kept else _beginning_of_graph)
        return map_tensors(self._kept[module], torch.clone)

    @property
    def activations(self) -> list[Tensor]:
        """Per target layer ``(B, C, *S)``, detached. A layer that ran twice counts as its last call."""
        return [self._reshaped(detached(self._kept[layer])) for layer in self.target_layers]

    def gradients_of(self, scores: Tensor) -> list[Tensor | None]:
        """Differentiate the sum of the scores by every target layer's output, in one backward pass.

        Returns:
            Per target layer ``(B, C, *S)``, or None where no score depends on the layer's output through the graph.
            No parameter's ``.grad`` is written.
        """
        outputs = [self._kept[layer] for layer in self.target_layers]
        leaves = [tensor for output in outputs for tensor in tensors_in(output) if tensor.requires_grad]
        if not scores.requires_grad or not leaves:
            return [None] * len(outputs)
        grads = torch.autograd.grad(scores, leaves, torch.ones_like(scores), allow_unused=True)
        found = {id(leaf): grad for leaf, grad in zip(leaves, grads, strict=True) if grad is not None}
        self._gradients_found = [
            map_tensors(output, lambda tensor: found.get(id(tensor), torch.zeros_like(tensor)))
            if any(id(tensor) in found for tensor in tensors_in(output))
            else None
            for output in outputs
        ]
        return [None if grad is None else self._reshaped(grad) for grad in self._gradients_found]

    def gradient_left_out(self, index: int) -> bool:
        """Say whether the gradient of target layer ``index`` is zero only where reshape_transform looks."""
        return any(bool((grad != 0).any()) for grad in tensors_in(self._gradients_found[index]))

    def _reshaped(self, output: Any) -> Tensor:
        if self.reshape_transform is not None:
            output = self.reshape_transform(output)
        if not isinstance(output, Tensor):
            raise TypeError(
                f"a target layer returns {type(output).__name__}, not a tensor; give a reshape_transform that turns it "
                "into (B, C, *S)"
            )
        return output


def _beginning_of_graph(tensor: Tensor) -> Tensor:
    """Copy the tensor and make the copy a leaf of the graph."""
    leaf = tensor.detach().clone()
    leaf.requires_grad = leaf.is_floating_point()
    return leaf
