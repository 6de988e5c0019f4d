"""What makes a network see a region? Any dense output will do, here that of torchvision's LR-ASPP."""

import numpy as np
import torch
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.segmentation_targets import SegmentationPointTarget, SemanticSegmentationTarget


def main(weights: str | None = None) -> dict[str, np.ndarray]:
    """Pass ``weights="DEFAULT"`` for the published ones; without, the network is an untrained one."""
    torch.manual_seed(0)
    model = lraspp_mobilenet_v3_large(weights=weights, weights_backbone=None).eval()
    images = torch.rand(1, 3, 96, 128)

    cam = HiResCAM(model, "backbone.16")
    found = cam.explain(images, relu=False)  # the class with the largest region; what is below 0 speaks against it
    left = torch.arange(128).expand(96, 128) < 64
    maps = {
        "its region": found.numpy()[0],
        "the left half": cam(images, SemanticSegmentationTarget(found.classes[0], left), relu=False)[0],
        "one point": cam(images, SegmentationPointTarget((48, 64)), relu=False)[0],
    }
    print(f"class {found.classes[0]} is explained in", ", ".join(maps))
    return maps


if __name__ == "__main__":
    main()
