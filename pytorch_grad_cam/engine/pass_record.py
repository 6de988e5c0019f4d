"""The record of one forward pass: outputs, activations of the target layers, gradients on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.restore import giving_back, hooked
from pytorch_grad_cam.engine.scoring import total
from pytorch_grad_cam.engine.trees import detached, map_tensors, tensors_in

ReshapeTransform = Callable[[Any], Tensor]


class PassRecord:
    """Run a model once and keep what its target layers returned.

    The hooks exist only while the model runs. The graph begins at the first target layer: what comes before runs
    without one, so nobody's ``.grad`` is written, a frozen network works, and the price is little more than that of
    a plain forward pass.

    Args:
        model: the network.
        target_layers: modules of ``model``, in any order.
        reshape_transform: from a layer's own output to ``(B, C, *S)``; None if it is that already.
        detach: False keeps the whole graph: activations and gradients can be differentiated further, down to the
            input and the parameters.
        gradients: whether a graph is needed.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Sequence[nn.Module],
        reshape_transform: ReshapeTransform | None = None,
        detach: bool = True,
        *,
        gradients: bool = True,
    ) -> None:
        self.model = model
        self.target_layers = list(target_layers)
        self.reshape_transform = reshape_transform
        self.detach = detach
        self._needs_graph = gradients
        self._kept: dict[nn.Module, Any] = {}
        self._grads: list[Any] = []

    @giving_back
    def run(self, forward: Callable[[], Any], whole_graph: bool = False) -> Any:
        """Run the model once.

        Args:
            forward: runs it.
            whole_graph: gradient mode is on from the start. Needed where the network turns it off around a part of
                itself: leaving that part would otherwise also end the graph that began inside it.

        Returns:
            What ``forward`` returned, with a graph from the first target layer on.

        Raises:
            RuntimeError: if a target layer does not run, or runs in inference mode.
        """
        self.clear()
        layers = dict.fromkeys(self.target_layers)
        whole = self._needs_graph and (whole_graph or not self.detach)
        with torch.set_grad_enabled(whole), hooked(layers, self._keep):
            outputs = forward()
        for layer in self.target_layers:
            if layer not in self._kept:
                raise RuntimeError(
                    f"the target layer {layer_name(self.model, layer)!r} did not run in this forward pass, so there is "
                    "nothing to explain there; choose a layer that the model uses for this input"
                )
        return outputs

    def clear(self) -> None:
        """Forget what was recorded."""
        self._kept, self._grads = {}, []

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Keep a copy of the output and hand on another, so that a following in-place operation changes neither."""
        if any(tensor.is_inference() for tensor in tensors_in(output)):
            raise RuntimeError(
                f"the target layer {layer_name(self.model, module)!r} runs under torch.inference_mode() inside the "
                "model, where no gradient can exist; use torch.no_grad() there instead"
            )
        if not self._needs_graph:
            self._kept[module] = map_tensors(output, torch.clone)
            return None
        # The graph begins at the first target layer, unless all of it is wanted; a later one stays connected to it.
        begins = not self._kept and not torch.is_grad_enabled()
        torch.set_grad_enabled(True)  # ends with the block around the model
        self._kept[module] = map_tensors(output, self._begun if begins else self._continued)
        return map_tensors(self._kept[module], torch.clone)

    @property
    def ran(self) -> list[nn.Module]:
        """The target layers in the order in which they ran."""
        return list(self._kept)

    @property
    def activations(self) -> list[Tensor]:
        """Per target layer ``(B, C, *S)``, detached unless ``detach=False``. A layer that ran twice: its last call."""
        kept = [self._kept[layer] for layer in self.target_layers if layer in self._kept]
        return [self._reshaped(detached(output) if self.detach else output) for output in kept]

    def gradients_of(self, scores: Tensor, keep_graph: bool = False) -> list[Tensor | None]:
        """Differentiate the sum of the scores by every target layer's output, in one backward pass.

        Args:
            scores: ``(B,)``, computed from the outputs.
            keep_graph: other scores will be differentiated.

        Returns:
            Per target layer ``(B, C, *S)``, or None where no score depends on the layer's output through the graph.
            No parameter's ``.grad`` is written.
        """
        outputs = [self._kept[layer] for layer in self.target_layers]
        leaves = [tensor for output in outputs for tensor in tensors_in(output) if tensor.requires_grad]
        self._grads = [None] * len(outputs)
        if not scores.requires_grad or not leaves:
            return [None] * len(outputs)
        grads = torch.autograd.grad(
            total(scores),
            leaves,
            allow_unused=True,
            retain_graph=keep_graph or not self.detach,
            create_graph=not self.detach,
        )
        by_leaf = {id(leaf): grad for leaf, grad in zip(leaves, grads, strict=True) if grad is not None}
        self._grads = [
            map_tensors(output, lambda tensor: by_leaf.get(id(tensor), torch.zeros_like(tensor)))
            if any(id(tensor) in by_leaf for tensor in tensors_in(output))
            else None
            for output in outputs
        ]
        return [None if grad is None else self._reshaped(grad) for grad in self._grads]

    def gradient_left_out(self, index: int, zero: Sequence[bool]) -> bool:
        """Say whether the gradient of target layer ``index`` is zero only where reshape_transform looks.

        Args:
            index: of the layer.
            zero: per image whether the gradient is zero there.
        """
        for grad in tensors_in(self._grads[index]):
            if len(grad) == len(zero):
                grad = grad[torch.tensor(zero, device=grad.device)]
            elif not all(zero):  # windows, or time before the batch: what is not zero may be another image's
                continue
            if (grad != 0).any():
                return True
        return False

    def _begun(self, tensor: Tensor) -> Tensor:
        """Copy the tensor and make the copy a leaf of the graph."""
        leaf = tensor.detach().clone()
        leaf.requires_grad = leaf.is_floating_point()
        return leaf

    def _continued(self, tensor: Tensor) -> Tensor:
        """Copy the tensor within its graph, or let the graph begin here if it has none yet."""
        if not tensor.requires_grad:
            return self._begun(tensor)
        return tensor.clone()

    def _reshaped(self, output: Any) -> Tensor:
        return reshaped(output, self.reshape_transform)


def reshaped(output: Any, transform: ReshapeTransform | None) -> Tensor:
    """Return what a target layer returned as ``(B, C, *S)``.

    Raises:
        TypeError: if it is no tensor.
    """
    if transform is not None:
        output = transform(output)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"a target layer returns {type(output).__name__}, not a tensor; give a reshape_transform that turns it "
            "into (B, C, *S)"
        )
    return output
