"""The base of methods that run the model again, on changed images or activations, to weigh the channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core import pipeline
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.engine.diagnosis import LayerFacts
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.restore import giving_back
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.spec import TargetSpec


class PerturbationCAM(BaseCAM):
    """A method whose weights need further passes of the model: subclasses override ``channel_weights``.

    ``get_cam_weights``, called or overridden by code written for the package ``grad-cam``, does the same for a model
    that takes images alone.
    """

    uses_gradients = False

    def channel_weights(self, call: Call, layer: LayerRecord, targets: list[Target]) -> Tensor:
        """Weigh the channels by running ``call.run``: the one thing such a method has to say.

        Returns:
            ``(B, C)`` or ``(B, C, *s)``.
        """
        raise NotImplementedError(f"{type(self).__name__} must override channel_weights or layer_map")

    def layer_weights(self, call: Call, layer: LayerRecord, targets: list[Target]) -> Tensor:
        if getattr(self.get_cam_weights, "__func__", None) is not PerturbationCAM.get_cam_weights:
            return super().layer_weights(call, layer, targets)
        return self.channel_weights(call, layer, targets)

    @giving_back
    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor | None,
    ) -> Tensor:
        call = pipeline.prepare(self, input_tensor, (TargetSpec(list(targets)),), False, {})
        call = call.replace(target_layers=(target_layer,))
        facts = LayerFacts.without_gradients(layer_name(self.model, target_layer), [None] * len(activations))
        layer = LayerRecord(
            target_layer, facts.name, torch.as_tensor(activations, device=call.inputs.device), grads, facts
        )
        with pipeline.guest_of(call):
            return self.channel_weights(call, layer, list(targets))
