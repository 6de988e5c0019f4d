"""FullGrad's scaling replaced in its module: layers are added as they are."""

from typing import Any

import cv2
import numpy as np

from pytorch_grad_cam import FullGrad, fullgrad_cam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def resized(tensor: Any, target_size: Any) -> Any:
    return np.float32([[cv2.resize(np.float32(one), target_size) for one in each] for each in tensor])


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    fullgrad_cam.scale_accross_batch_and_channels = resized
    return {"map": FullGrad(net, [])(x, [ClassifierOutputTarget(1), ClassifierOutputTarget(0)])}
