"""Layers of ablation used on arrays and tensors directly, as detection tools do for their own."""

from typing import Any

import numpy as np

from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit
from wild.networks import images

DIFFERENCES = {"negative": 2}


def main() -> dict[str, Any]:
    values = images(2, (4, 5), 6, seed=3).clamp(min=0)
    layer = AblationLayer()
    indices = layer.activations_to_be_ablated(values[0].numpy(), 1.0)
    layer.set_next_batch(1, values, 4)
    found = {"silenced": layer(values[:1]).numpy()}
    signed = AblationLayer()
    signed.activations_to_be_ablated(values[0].numpy(), 1.0)
    signed.set_next_batch(0, values - 1, 2)
    found["negative"] = signed(values[:1]).numpy()
    tokens = AblationLayerVit()
    tokens.indices = np.int32([2, 0, 1])
    tokens.set_next_batch(0, images(1, (7,), 5).abs() + 0.0, 3)
    return found | {"indices": indices.tolist(), "batch": list(tokens.activations.shape)}
