"""A network behind a small module that picks the scores from a dict; the layer is the inner network's."""

from typing import Any

from torch import nn

from pytorch_grad_cam import EigenCAM, GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from wild.networks import Named, images, seeded

DIFFERENCES = {"eigen": 3}


class Logits(nn.Module):
    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        return self.net(x)["logits"]


def main() -> dict[str, Any]:
    net, x = seeded(Named()), images(2)
    model = Logits(net)
    targets = [ClassifierOutputSoftmaxTarget(2), ClassifierOutputSoftmaxTarget(4)]
    return {"map": GradCAM(model, [net.act])(x, targets), "eigen": EigenCAM(model, [net.block])(x, targets)}
