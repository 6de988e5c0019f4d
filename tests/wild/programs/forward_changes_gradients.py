"""Gradients changed between the backward pass and the weighing."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Clipped(GradCAM):
    def compute_cam_per_layer(self, input_tensor: Any, targets: Any, eigen_smooth: Any) -> Any:
        record = self.activations_and_grads
        record.gradients = [grad.clamp(min=0) for grad in record.gradients]
        return super().compute_cam_per_layer(input_tensor, targets, eigen_smooth)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    return {"map": Clipped(net, [net.act])(x, [ClassifierOutputTarget(3), ClassifierOutputTarget(1)])}
