"""FullGrad's data on biases, read and asked."""

from typing import Any

import numpy as np

from pytorch_grad_cam import FullGrad
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded

DIFFERENCES = {"map": 4, "data": 4, "layers": 4}


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    cam = FullGrad(model=net, target_layers=[])
    found = cam(input_tensor=x, targets=[ClassifierOutputTarget(1)])
    norm = net.block[1]
    return {
        "map": found,
        "convolution": cam.get_bias_data(net.conv1).numpy(),
        "normalisation": np.asarray(cam.get_bias_data(norm)),
        "layers": len(cam.target_layers),
        "data": [len(each) for each in cam.bias_data],
    }
