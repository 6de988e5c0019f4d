"""A record as an extractor of features, under no_grad."""

from typing import Any

import torch

from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net = seeded(Small())
    record = ActivationsAndGradients(model=net, target_layers=[net.act], reshape_transform=None)
    pooled = []
    with torch.no_grad():
        for seed in range(3):
            record(images(1, seed=seed))
            pooled.append(record.activations[0].mean((2, 3)))
    gradients = len(record.gradients)
    record.release()
    return {"features": torch.cat(pooled).numpy(), "gradients": gradients}
