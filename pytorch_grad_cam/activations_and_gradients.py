"""ActivationsAndGradients: what target layers returned, and their gradients, as the package ``grad-cam`` records them.

Our own way through a call has a record of its own, ``engine.pass_record``. This one is for code that makes, extends or
reads a record by itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.engine.pass_record import ReshapeTransform, reshaped
from pytorch_grad_cam.engine.restore import evaluating, giving_back, hooked, hooked_until_released


class ActivationsAndGradients:
    """Keep what the target layers return in every pass of the model, and the gradients of whatever is differentiated.

    Call it on an input, call ``backward`` on a score of what it returns, and read ``activations`` and ``gradients``.
    The graph is the model's own, from the input on, so ``backward`` also writes ``.grad`` of parameters and inputs.

    The hooks stay on the model until ``release``, or until nobody holds the object any more.

    Args:
        model: the network, in the mode that it shall run in.
        target_layers: modules of ``model``.
        reshape_transform: from a layer's own output to ``(B, C, *S)``; None if it is that already.
        detach: False keeps activations and gradients on their device, in their graph, and as the layer returned them.

    Attributes:
        activations: per run of a target layer its output, in the order in which they ran.
        gradients: per ``backward`` and run of a target layer its gradient, in the same order; the last first.
        handles: what removes the hooks.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Iterable[nn.Module],
        reshape_transform: ReshapeTransform | None = None,
        detach: bool = True,
    ) -> None:
        self.model, self.reshape_transform, self.detach = model, reshape_transform, detach
        self.activations: list[Tensor] = []
        self.gradients: list[Tensor] = []
        self.handles = self._hooked(list(target_layers))
        if self.handles:
            weakref.finalize(self, _remove, self.handles).atexit = False

    def _hooked(self, layers: Sequence[nn.Module]) -> list[Any]:
        return hooked_until_released(layers, self, ("save_activation", "save_gradient"))

    def save_activation(self, module: nn.Module, input: Any, output: Any) -> None:
        """Keep what a layer returned: a copy, which a following in-place operation does not change."""
        if self.detach:
            self.activations.append(reshaped(output, self.reshape_transform).detach().cpu().clone())
        else:
            self.activations.append(output)

    def save_gradient(self, module: nn.Module, input: Any, output: Any) -> None:
        """Let the gradient of what a layer returned be kept, whenever it is computed."""
        if not getattr(output, "requires_grad", False):
            return

        def store(grad: Tensor) -> None:
            kept = reshaped(grad, self.reshape_transform).detach().cpu() if self.detach else grad
            self.gradients = [kept, *self.gradients]  # backward comes to the last layer first

        output.register_hook(store)

    def __call__(self, x: Any) -> Any:
        """Run the model on an input and return what it returned."""
        self.activations, self.gradients = [], []
        return self.model(x)

    def clear(self) -> None:
        """Forget what was recorded."""
        self.activations, self.gradients = [], []

    def release(self) -> None:
        """Forget what was recorded and take the hooks off the model."""
        self.clear()
        _remove(self.handles)


def _remove(handles: list[Any]) -> None:
    while handles:
        handles.pop().remove()


class MethodRecord(ActivationsAndGradients):
    """The record that a method has as ``cam.activations_and_grads`` unless somebody gives it another.

    It hooks the model only while it runs, and runs it in evaluation mode. Of an ordinary call it keeps what the pass
    found, until the next call or ``release``: per target layer ``(B, C, *s)``, in the order in which they ran.
    """

    target_layers: Sequence[nn.Module] = ()  # set by the method, whose they are

    def _hooked(self, layers: Sequence[nn.Module]) -> list[Any]:
        return []

    @giving_back
    def __call__(self, x: Any) -> Any:
        with evaluating(self.model.modules()), hooked(dict.fromkeys(self.target_layers), self._save):
            return super().__call__(x)

    def keep(self, activations: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Keep what a pass found."""
        self.activations = list(activations)
        self.gradients = [grad for grad in gradients if grad is not None]

    def cut_graph(self) -> None:
        """Let go of the graph of what is kept, if it has one."""
        self.activations = [tensor.detach() for tensor in self.activations]
        self.gradients = [tensor.detach() for tensor in self.gradients]

    def _save(self, module: nn.Module, input: Any, output: Any) -> None:
        self.save_activation(module, input, output)
        self.save_gradient(module, input, output)
