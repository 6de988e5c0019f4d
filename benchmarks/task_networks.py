"""A segmentation network and a detector, in the form of the trained weights beside some checkouts."""

from __future__ import annotations

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F


class DeepLab(nn.Module):
    """DeepLabV3 on MobileNetV2 x 0.5, 21 Pascal VOC classes: (B, 3, H, W) in [-1, 1] -> {"out": (B, 21, H, W)}.

    Sides of 16 k + 1; the layer before the pooling branches is `backbone`, of stride 16.
    """

    def __init__(self) -> None:
        super().__init__()
        body = torchvision.models.MobileNetV2(width_mult=0.5, round_nearest=4).features[:18]
        body[14].conv[1][0].stride = (1, 1)
        for block in body[15:18]:
            block.conv[1][0].dilation = block.conv[1][0].padding = (2, 2)
        self.backbone = body
        self.aspp0 = nn.Conv2d(160, 256, 1)
        self.image_pooling = nn.Conv2d(160, 256, 1)
        self.concat_projection = nn.Conv2d(512, 256, 1)
        self.logits = nn.Conv2d(256, 21, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.backbone(x)  # (B, 160, h, w)
        whole = F.relu(self.image_pooling(features.mean((2, 3), keepdim=True)))
        branches = [whole.expand(-1, -1, *features.shape[2:]), F.relu(self.aspp0(features))]
        scores = self.logits(F.relu(self.concat_projection(torch.cat(branches, 1))))
        return {"out": F.interpolate(scores, x.shape[2:], mode="bilinear", align_corners=True)}


class _Levels(torchvision.models.ShuffleNetV2):
    """(B, 3, H, W) -> (B, 336, H / 16, W / 16): three stages side by side."""

    def __init__(self) -> None:
        super().__init__([4, 8, 4], [24, 48, 96, 192, 1024])
        del self.conv5, self.fc

    def forward(self, x: Tensor) -> Tensor:
        c3 = self.stage2(self.maxpool(self.conv1(x)))
        c4 = self.stage3(c3)
        c5 = self.stage4(c4)
        return torch.cat([F.avg_pool2d(c3, 3, 2, 1), c4, F.interpolate(c5, scale_factor=2)], 1)


class _Pyramid(nn.Module):
    """FastestDet's three receptive fields: (B, 336, h, w) -> (B, 96, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(336, 96, 1)
        self.s1, self.s2, self.s3 = (
            nn.Sequential(*[nn.Conv2d(96, 96, 5, padding=2, groups=96) for _ in range(count)]) for count in (1, 2, 3)
        )
        self.fuse = nn.Conv2d(288, 96, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.reduce(x))
        branches = []
        for convs in (self.s1, self.s2, self.s3):
            seen = x
            for conv in convs:
                seen = F.relu(conv(seen))
            branches.append(seen)
        return F.relu(x + self.fuse(torch.cat(branches, 1)))


class _Branch(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.dw = nn.Conv2d(96, 96, 5, padding=2, groups=96)
        self.pw = nn.Conv2d(96, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pw(F.relu(self.dw(x)))


class FastestDet(nn.Module):
    """80 COCO classes: (B, 3, H, W) in [0, 1] -> boxes (B, D, 4) in pixels and scores (B, D, 80), none suppressed."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _Levels()
        self.spp = _Pyramid()
        parts = {"stem": nn.Conv2d(96, 96, 1), "obj": _Branch(1), "reg": _Branch(4), "cls": _Branch(80)}
        self.head = nn.ModuleDict(parts)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        head = self.head
        stem = F.relu(head["stem"](self.spp(self.backbone(x))))
        sure = head["obj"](stem).sigmoid() ** 0.6 * head["cls"](stem).softmax(1) ** 0.4  # (B, 80, h, w)
        place = head["reg"](stem)  # (B, 4, h, w)
        rows, columns = place.shape[2:]
        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        grid = torch.stack([column, row]).to(place)  # (2, h, w)
        cells = place.new_tensor([columns, rows]).reshape(1, 2, 1, 1)
        centre = (place[:, :2].tanh() + grid) / cells
        half = place[:, 2:].sigmoid() / 2
        pixels = place.new_tensor([x.shape[3], x.shape[2]] * 2)
        boxes = torch.cat([centre - half, centre + half], 1).flatten(2).transpose(1, 2) * pixels
        return {"boxes": boxes, "scores": sure.flatten(2).transpose(1, 2)}
