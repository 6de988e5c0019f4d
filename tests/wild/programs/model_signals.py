"""A signal as a picture of one line."""

from typing import Any

import torch
from torch import nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import images, seeded


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, (1, 5), padding=(0, 2), stride=(1, 2))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


def main() -> dict[str, Any]:
    net, x = seeded(Line()), images(2, (1, 40), 2)
    return {"map": GradCAM(net, [net.conv])(x, [ClassifierOutputTarget(0), ClassifierOutputTarget(2)])}
