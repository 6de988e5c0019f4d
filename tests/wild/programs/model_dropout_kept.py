"""Dropout turned on after the method was built, for maps with an uncertainty."""

from typing import Any

import numpy as np
import torch

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded

CHANGES = ("flags",)
DIFFERENCES = {"varies": 9}


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    cam = HiResCAM(net, [net.act])
    net.drop.train()
    torch.manual_seed(0)
    maps = [cam(x, [ClassifierOutputTarget(1)]) for _ in range(6)]
    return {"varies": bool(np.std(maps, axis=0).max() > 0.01), "shape": list(maps[0].shape)}
