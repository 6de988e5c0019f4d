"""The base of methods that run the part behind the layer again and again."""

from __future__ import annotations

from pytorch_grad_cam.bases.perturbation_cam import PerturbationCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.engine.replay import Replay


class ReplayCAM(PerturbationCAM):
    """Replays the pass that every map begins with; of several images at once, one more pass of each alone."""

    replays = True

    def replay(self, call: Call, layer: LayerRecord, row: int) -> Replay:
        """Return what follows the layer, as a function of its output, for one image of the call."""
        return Replay(call.model, layer.module, call.inputs[row : row + 1], call.run.of_row(row), layer.recorded)
