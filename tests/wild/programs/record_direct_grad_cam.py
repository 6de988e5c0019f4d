"""Grad-CAM written out with nothing but the record, as in teaching notebooks."""

from typing import Any

import numpy as np

from pytorch_grad_cam import ActivationsAndGradients
from pytorch_grad_cam.utils.image import scale_cam_image
from wild.networks import images, resnet

CHANGES = ("grad", "flags")


def main() -> dict[str, Any]:
    net, x = resnet(), images(2, (64, 96))
    record = ActivationsAndGradients(net, [net.layer4[-1]], None)
    scores = record(x)
    scores.gather(1, scores.argmax(1, keepdim=True)).sum().backward()
    values, grads = record.activations[0].numpy(), record.gradients[0].numpy()
    raw = np.einsum("bc,bchw->bhw", grads.mean((2, 3)), values)
    record.release()
    return {"raw": raw, "map": scale_cam_image(np.maximum(raw, 0), (96, 64))}
