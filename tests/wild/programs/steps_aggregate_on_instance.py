"""The averaging of layers replaced on one object, with weights for the layers."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = GradCAM(net, [net.block, net.act])
    cam.aggregate_multi_layers = lambda maps: 0.25 * maps[0][:, 0] + 0.75 * np.asarray(maps[1])[:, 0]
    return {"map": cam(x, [ClassifierOutputTarget(3), ClassifierOutputTarget(1)])}
