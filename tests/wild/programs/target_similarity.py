"""What makes a picture like another one: the cosine of their features."""

from typing import Any

import torch
from torch import nn

from pytorch_grad_cam import GradCAM
from wild.networks import Small, images, seeded


class Features(nn.Module):
    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        return self.net.features(x).mean((2, 3))


class Like:
    def __init__(self, features: Any) -> None:
        self.features = features

    def __call__(self, output: Any) -> Any:
        return torch.cosine_similarity(output, self.features, dim=0)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    model = Features(net)
    with torch.no_grad():
        wanted = model(images(1, seed=8))[0]
    with GradCAM(model=model, target_layers=[net.conv3]) as cam:
        return {"like": cam(x, [Like(wanted)] * 2), "unlike": cam(x, [lambda row: -Like(wanted)(row)] * 2)}
