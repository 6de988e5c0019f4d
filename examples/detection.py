"""One map for each object that a detector finds, with its box: torchvision's detectors work as they are."""

from pathlib import Path

import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.utils.detection_targets import detected_objects
from pytorch_grad_cam.utils.image import contact_sheet, draw_boxes, show_cam_on_image


def main(output: Path = Path("output/detection.png"), weights: str | None = None) -> None:
    """Pass ``weights="DEFAULT"`` for the published ones; without, the network is an untrained one."""
    torch.manual_seed(0)
    model = ssdlite320_mobilenet_v3_large(weights=weights, weights_backbone=None).eval()
    images = torch.rand(1, 3, 160, 200)

    objects = detected_objects(model(images)[0], least_score=0.0, at_most=3)
    maps = HiResCAM(model, "backbone.features.0").explain_each(images, [each.target for each in objects]).numpy()[0]

    overlays = [show_cam_on_image(images[0], map, use_rgb=True) for map in maps]
    drawn = [draw_boxes(overlay, [each.outline]) for overlay, each in zip(overlays, objects, strict=True)]
    write_image(output, contact_sheet(drawn, [f"class {each.category}: {each.score:.2f}" for each in objects]))
    print(f"{output} shows {len(objects)} objects")


if __name__ == "__main__":
    main()
