"""The list of layers changed by a step for what it explains."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Last(GradCAM):
    def compute_cam_per_layer(self, input_tensor: Any, targets: Any, eigen_smooth: Any) -> Any:
        maps = super().compute_cam_per_layer(input_tensor, targets, eigen_smooth)
        return maps[-1:]


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    targets = [ClassifierOutputTarget(1), ClassifierOutputTarget(0)]
    return {
        "last": Last(net, [net.block, net.act])(x, targets),
        "alone": GradCAM(model=net, target_layers=[net.act])(x, targets),
    }
