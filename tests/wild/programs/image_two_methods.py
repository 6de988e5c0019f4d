"""Two methods' maps multiplied, one asked through the other's step."""

from typing import Any

from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Both(GradCAM):
    def get_cam_image(
        self,
        input_tensor: Any,
        target_layer: Any,
        targets: Any,
        activations: Any,
        grads: Any,
        eigen_smooth: Any = False,
    ) -> Any:
        weights = self.get_cam_weights(input_tensor, target_layer, targets, activations, grads)
        mean = (weights[:, :, None, None] * activations).sum(axis=1)
        return mean * HiResCAM.get_cam_image(
            self, input_tensor, target_layer, targets, activations, grads, eigen_smooth
        )


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    return {"map": Both(net, [net.act])(x, [ClassifierOutputTarget(1), ClassifierOutputTarget(4)])}
