"""Layers that put their channels last, as Swin's do, and a reshape that moves them."""

from typing import Any

import torch
from torch import nn

from pytorch_grad_cam import LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import images, seeded


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        x = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return self.head(torch.relu(self.mix(x)).mean((1, 2)))


def main() -> dict[str, Any]:
    net, x = seeded(ChannelsLast()), images(2)
    cam = LayerCAM(net, [net.norm], reshape_transform=lambda output: output.transpose(2, 3).transpose(1, 2))
    return {"map": cam(x, [ClassifierOutputTarget(0), ClassifierOutputTarget(2)])}
