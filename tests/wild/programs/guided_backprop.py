"""Guided gradients multiplied by the map, as sound and medical tools show them."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel
from pytorch_grad_cam.utils.image import deprocess_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    found = GradCAM(net, [net.act])(x, [ClassifierOutputTarget(1)])[0]
    guided = GuidedBackpropReLUModel(model=net, device="cpu")(x, target_category=1)
    return {"guided": guided, "product": guided * found[..., None], "mean": float(np.mean(deprocess_image(guided)))}
