"""The default views, walked through by hand."""

from typing import Any

import numpy as np
import torch

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    cam = HiResCAM(net, [net.act])
    maps = []
    for view in cam.tta_transforms:
        one = torch.from_numpy(cam(view.augment_image(x), [ClassifierOutputTarget(2)]))
        maps.append(view.deaugment_mask(one[:, None])[:, 0].numpy())
    return {"mean": np.mean(maps, axis=0), "deviation": np.std(maps, axis=0), "views": len(maps)}
