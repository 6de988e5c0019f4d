"""A volume's map at the layer's own size, and slice by slice as pictures."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Volumes, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Volumes()), images(1, (3, 8, 6), 1)
    found = GradCAM(net, [net.conv1, net.conv2])(x, [ClassifierOutputTarget(1)])
    grey = (x[0, 0].numpy() + 2) / 4
    slices = [show_cam_on_image(np.stack([one] * 3, -1), mask, True) for one, mask in zip(grey, found[0], strict=True)]
    hires = HiResCAM(net, [net.conv2])(x, [ClassifierOutputTarget(1)])
    return {"map": found, "hires": hires, "slices": [list(one.shape) for one in slices]}
