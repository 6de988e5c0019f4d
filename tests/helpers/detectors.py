"""Detectors of torchvision on a tiny backbone, and one small head of the YOLO form. Random weights, seeded."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.ops import MultiScaleRoIAlign

LAYER = "backbone.4"  # a convolution, and then one more
TORCHVISION = ("FasterRCNN", "MaskRCNN", "RetinaNet", "FCOS", "SSD")
CLASSES = 4


class Backbone(nn.Sequential):
    """(B, 3, H, W) -> (B, 32, H / 8, W / 8)."""

    out_channels: int | list[int] = 32

    def __init__(self) -> None:
        convs = [nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 32, 3, 2, 1)]
        super().__init__(convs[0], nn.ReLU(), convs[1], nn.ReLU(inplace=True), convs[2], nn.ReLU())


def detector(kind: str) -> nn.Module:
    """One of `TORCHVISION`, which finds up to six objects in anything."""
    anchors = AnchorGenerator(((16, 32),), ((0.5, 1.0, 2.0),))
    size = {"min_size": 64, "max_size": 96}
    some = {"score_thresh": 0.0, "detections_per_img": 6}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = Backbone()
        if kind in ("FasterRCNN", "MaskRCNN"):
            pool = MultiScaleRoIAlign(["0"], 3, 2)
            pools = {"box_roi_pool": pool} | ({"mask_roi_pool": pool} if kind == "MaskRCNN" else {})
            rpn = {"rpn_anchor_generator": anchors, "rpn_pre_nms_top_n_test": 50, "rpn_post_nms_top_n_test": 20}
            some = {f"box_{name}": value for name, value in some.items()}
            net = getattr(detection, kind)(body, CLASSES, **rpn, **pools, **some, **size)
        elif kind == "RetinaNet":
            net = detection.RetinaNet(body, CLASSES, anchor_generator=anchors, **some, **size)
        elif kind == "FCOS":
            anchors = AnchorGenerator(((8,),), ((1.0,),))
            net = detection.FCOS(body, CLASSES, anchor_generator=anchors, **some, **size)
        else:
            body.out_channels = [32]  # one per level
            net = detection.ssd.SSD(body, DefaultBoxGenerator([[2]]), (64, 96), CLASSES, **some)
    with torch.no_grad():  # as they come, all scores of a new head are nearly the same
        for name, weight in net.named_parameters():
            if "classification_head" in name and name.endswith(("cls_logits.weight", "module_list.0.weight")):
                weight.mul_(20)
    return net.eval()


class YoloNet(nn.Module):
    """The form of YOLOv8's head: (B, 4 + M, N), centre, size and M probabilities for each of N cells, in pixels."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.boxes, self.classes = nn.Conv2d(8, 4, 1), nn.Conv2d(8, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)  # (B, 8, H / 8, W / 8)
        rows, columns = features.shape[2:]
        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        place = self.boxes(features)
        centre = (torch.stack([column, row]) + 0.5 + place[:, :2].tanh() / 2) * 8
        return torch.cat([centre, place[:, 2:].exp() * 16, self.classes(features).sigmoid()], 1).flatten(2)


def pictures(batch: int = 2) -> Tensor:
    """(batch, 3, 80, 120) in [0, 1]."""
    return torch.rand((batch, 3, 80, 120), generator=torch.Generator().manual_seed(3))
