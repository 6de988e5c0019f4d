"""AblationCAM under the path of an older implementation; ``AblationCAM`` takes several layers anyway."""

from __future__ import annotations

from pytorch_grad_cam.ablation_cam import AblationCAM
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.engine.layers import replace_layer_recursive

__all__ = ["AblationCAM", "AblationLayer", "replace_layer_recursive"]
