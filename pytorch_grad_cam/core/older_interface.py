"""The steps of a call that classes written for the package ``grad-cam`` override or call, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.core.options import How
from pytorch_grad_cam.core.pipeline import MapPath
from pytorch_grad_cam.engine import augment, maps
from pytorch_grad_cam.targets.classification import Target

Arrays = NDArray[np.float32]


class OlderInterface(MapPath):
    """Method by method what ``grad-cam`` offers; a call uses them where a subclass overrides one of them.

    The steps that need activations read them from ``activations_and_grads``, which holds those of the running call,
    or of the last one that the subclass made of it itself.
    """

    def forward(self, input_tensor: Tensor, targets: Any, eigen_smooth: bool = False) -> Arrays:
        """Explain without smoothing over views: float32 ``(B, *S)``."""
        return self._explain(input_tensor, targets, False, eigen_smooth).numpy()

    def forward_augmentation_smoothing(self, input_tensor: Tensor, targets: Any, eigen_smooth: bool = False) -> Arrays:
        """Average ``forward`` over changed views, each turned back: float32 ``(B, *S)``."""
        found = []
        for view in augment.augmentations(self.tta_transforms):
            seen = torch.from_numpy(self.forward(view.apply(input_tensor), targets, eigen_smooth))
            found.append(view.undo(seen[:, None])[:, 0])
        return torch.stack(found).mean(0).numpy()

    def get_target_width_height(self, input_tensor: Tensor) -> tuple[int, ...]:
        """Return the sides of the maps, last axis first: ``(W, H)``, ``(D, W, H)`` as ``grad-cam`` calls them."""
        return tuple(reversed(input_tensor.shape[2:]))

    def compute_cam_per_layer(self, input_tensor: Tensor, targets: Any, eigen_smooth: bool) -> list[Arrays]:
        """Make each layer's map, rectified, in [0, 1] and in the input's size: a list of ``(B, 1, *S)``."""
        record = self.activations_and_grads
        activations, grads = record.activations, record.gradients
        found = []
        for index, layer in enumerate(self.target_layers or []):
            values = maps.working_precision(activations[index])
            grad = maps.working_precision(grads[index]) if index < len(grads) else None
            raw = self._ask(self.get_cam_image, input_tensor, layer, targets, values, grad, eigen_smooth)
            scaled = maps.resize(maps.unit_range(raw.relu()), self.get_target_width_height(input_tensor)[::-1])
            found.append(scaled[:, None].detach().cpu().float().numpy())
        return found

    def aggregate_multi_layers(self, cam_per_target_layer: Sequence[Arrays]) -> Arrays:
        """Average the layers' maps ``(B, 1, *S)`` and stretch the result to [0, 1]: ``(B, *S)``."""
        together = torch.from_numpy(np.concatenate(list(cam_per_target_layer), axis=1)).relu().mean(1)
        return maps.unit_range(together).float().numpy()

    def _finished(self, inputs: Tensor, targets: list[Target], raws: Sequence[Tensor], how: How) -> Tensor:
        steps = ("compute_cam_per_layer", "aggregate_multi_layers", "get_target_width_height")
        if all(getattr(type(self), step) is getattr(OlderInterface, step) for step in steps):
            return super()._finished(inputs, targets, raws, how)
        each = self.compute_cam_per_layer(inputs, targets, how.eigen_smooth)
        return torch.as_tensor(self.aggregate_multi_layers(each), dtype=torch.float32, device=inputs.device)
