"""A class within the region that the network found for it."""

from typing import Any

import numpy as np
import torch

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from wild.networks import Segmenter, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Segmenter()), images(1)
    with torch.no_grad():
        found = net(x).argmax(1)[0].numpy()
        best = int(np.bincount(found.ravel()).argmax())
        mask = np.float32(found == best)
    with GradCAM(model=net, target_layers=[net.act]) as cam:
        return {"map": cam(input_tensor=x, targets=[SemanticSegmentationTarget(best, mask)]), "pixels": int(mask.sum())}
