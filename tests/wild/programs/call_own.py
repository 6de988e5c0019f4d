"""The object's call replaced: more is returned than the map."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class WithScores(GradCAM):
    def __call__(
        self, input_tensor: Any, targets: Any = None, aug_smooth: bool = False, eigen_smooth: bool = False
    ) -> Any:
        found = super().__call__(input_tensor, targets, aug_smooth, eigen_smooth)
        return found, self.outputs.detach().softmax(1).numpy()


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    found, odds = WithScores(model=net, target_layers=[net.act])(x, [ClassifierOutputTarget(2)] * 2)
    return {"map": found, "odds": odds}
