"""No size to resize to: maps stay as small as the layer, by a change on the object."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = GradCAM(net, [net.act])
    cam.get_target_width_height = lambda tensor: None
    found = cam(x, [ClassifierOutputTarget(3), ClassifierOutputTarget(1)])
    return {"map": found, "shape": list(found.shape)}
