"""A step of the method asked from outside with arrays of the user's own."""

from typing import Any

from pytorch_grad_cam import EigenGradCAM, GradCAM, GradCAMElementWise, HiResCAM, LayerCAM
from wild.networks import Small, images, seeded

DIFFERENCES = {"EigenGradCAM": 3}


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    values, grads = images(2, (6, 8), 8, seed=7).abs().numpy(), images(2, (6, 8), 8, seed=9).numpy()
    found: dict[str, Any] = {}
    for method in (GradCAM, HiResCAM, LayerCAM, GradCAMElementWise, EigenGradCAM):
        cam = method(net, [net.act])
        found[method.__name__] = cam.get_cam_image(x, net.act, None, values, grads, False)
    return found
