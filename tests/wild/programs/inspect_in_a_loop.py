"""Gradients of many pictures collected one call after another; each call's are its own."""

from typing import Any

import numpy as np

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net = seeded(Small())
    cam = HiResCAM(model=net, target_layers=[net.act])
    rows, maps = [], []
    for seed in range(3):
        maps.append(cam(images(1, seed=seed), [ClassifierOutputTarget(seed)])[0])
        rows.append(cam.activations_and_grads.gradients[0][0].numpy())
    return {"gradients": np.stack(rows), "maps": np.stack(maps), "kept": len(cam.activations_and_grads.activations)}
