"""The weights of methods asked of their classes, on arrays, without a network."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, XGradCAM
from wild.networks import images


def main() -> dict[str, Any]:
    values = np.abs(images(2, (4, 5), 6, seed=3).numpy())
    grads = images(2, (4, 5), 6, seed=4).numpy() / 50
    deep = images(1, (2, 3, 4), 6, seed=5).numpy()
    return {
        "grad": GradCAM.get_cam_weights(GradCAM, None, None, None, values, grads),
        "grad, deep": GradCAM.get_cam_weights(None, None, None, None, deep, deep),
        "plus plus": GradCAMPlusPlus.get_cam_weights(None, None, None, None, values, grads),
        "x": XGradCAM.get_cam_weights(None, None, None, None, values, grads),
    }
