"""The smoothing itself replaced by a subclass: a mirrored copy only."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Mirrored(GradCAM):
    def forward_augmentation_smoothing(self, input_tensor: Any, targets: Any, eigen_smooth: bool = False) -> Any:
        plain = self.forward(input_tensor, targets, eigen_smooth)
        mirrored = self.forward(input_tensor.flip(-1), targets, eigen_smooth)
        return np.minimum(plain, mirrored[:, :, ::-1])


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = Mirrored(net, [net.act])
    targets = [ClassifierOutputTarget(2), ClassifierOutputTarget(0)]
    return {"smooth": cam(x, targets, aug_smooth=True), "plain": cam(x, targets)}
