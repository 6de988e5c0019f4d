"""A map stretched to the whole range inside each detected box, and drawn."""

from typing import Any

import numpy as np

from pytorch_grad_cam import EigenCAM, GradCAM
from pytorch_grad_cam.utils.image import scale_cam_image, show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded

DIFFERENCES = {"eigen": 3}


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    found = GradCAM(net, [net.act])(x, [ClassifierOutputTarget(1)])[0]
    inside = np.zeros_like(found)
    for left, top, right, bottom in ((2, 3, 14, 12), (16, 8, 30, 22)):
        inside[top:bottom, left:right] = scale_cam_image(found[None, top:bottom, left:right])[0]
    inside = scale_cam_image(inside[None])[0]
    drawn = show_cam_on_image((x[0].permute(1, 2, 0).numpy() + 2) / 4, inside, use_rgb=True, image_weight=0.6)
    return {"inside": inside, "drawn": list(drawn.shape), "eigen": EigenCAM(net, [net.act])(x, None)}
