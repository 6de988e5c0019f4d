"""What methods share that run the part behind the layer again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core.forward_pass import Pass
from pytorch_grad_cam.core.options import How
from pytorch_grad_cam.engine.image_model import Network
from pytorch_grad_cam.engine.replay import Record, Replay, recording


class ReplayingCAM(BaseCAM):
    """Replays the pass that every map begins with; of several images at once, one more pass of each alone."""

    uses_gradients = False
    _recorded: dict[nn.Module, tuple[Record, Any]] | None = None  # per target layer, during a call

    def _replay(self, layer: nn.Module, inputs: Tensor, row: int) -> Replay:
        """Return what follows ``layer`` for one image of the inputs ``(B, C, *S)``."""
        recorded = (self._recorded or {}).get(layer)
        return Replay(self.model, layer, inputs[row : row + 1], self.network.of_row(row), recorded)

    def _pass(self, inputs: Tensor, how: How, undo: Callable[[Tensor], Tensor] | None = None) -> Pass:
        self._recorded = None
        if len(inputs) > 1:  # a record holds the large outputs of early layers: of one image at a time
            return super()._pass(inputs, how, undo)
        with ExitStack() as stack:
            records = {layer: stack.enter_context(recording(self.model, layer)) for layer in self.target_layers or []}
            made = super()._pass(inputs, how, undo)
        self._recorded = {layer: (record, made.outputs) for layer, record in records.items()}
        return made

    @contextmanager
    def _calling(self, network: Network) -> Iterator[None]:
        try:
            with super()._calling(network):
                yield
        finally:
            self._recorded = None
