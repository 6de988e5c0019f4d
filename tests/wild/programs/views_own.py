"""Test-time views of the user's own for the smoothing."""

from typing import Any

import ttach

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2, (24, 24))
    views = ttach.Compose([ttach.VerticalFlip(), ttach.Rotate90(angles=[0, 90])])
    cam = GradCAM(model=net, target_layers=[net.act])
    cam.tta_transforms = views
    found = cam(x, [ClassifierOutputTarget(2), ClassifierOutputTarget(0)], aug_smooth=True)
    return {"map": found, "views": len(list(cam.tta_transforms)), "same": cam.tta_transforms is views}
