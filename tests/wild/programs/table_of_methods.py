"""A table of methods built from the subclasses of the base class, as OpenMMLab's tools do."""

from typing import Any

import pytorch_grad_cam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded

WANTED = ("gradcam", "scorecam", "gradcamplusplus", "ablationcam", "xgradcam", "eigencam", "eigengradcam", "layercam")


def main() -> dict[str, Any]:
    table = {each.__name__.lower(): each for each in pytorch_grad_cam.base_cam.BaseCAM.__subclasses__()}

    class Mine(pytorch_grad_cam.base_cam.BaseCAM):
        pass

    net, x = seeded(Small()), images(1)
    cam = table["layercam"](model=net, target_layers=[net.block])
    return {
        "map": cam(x, [ClassifierOutputTarget(1)]),
        "found": [name in table for name in (*WANTED, "fullgrad", "hirescam", "randomcam", "fem", "kpca_cam")],
        "mine": Mine in pytorch_grad_cam.base_cam.BaseCAM.__subclasses__(),
    }
