"""Channel weights worked out from the recorded gradient, and the strongest channel shown by itself."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    with GradCAM(net, [net.act]) as cam:
        cam(x, [ClassifierOutputTarget(1)])
        grads = cam.activations_and_grads.gradients[-1].cpu().data.numpy()
        values = cam.activations_and_grads.activations[-1].cpu().data.numpy()
    weights = np.mean(grads, axis=(2, 3))
    best = int(np.abs(weights[0]).argmax())
    return {"weights": weights, "strongest": values[0, best], "channel": best}
