"""A network that is no module, only something that behaves like one: an exported program behind a small class."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Behaves:
    def __init__(self, net: Any) -> None:
        self.net = net

    def __call__(self, x: Any) -> Any:
        return self.net(x * 2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.net, name)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    cam = GradCAM(model=Behaves(net), target_layers=[net.act])
    return {"map": cam(x, [ClassifierOutputTarget(1)])}
