"""A step that keeps what it was given on the object for later."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Keeping(GradCAM):
    def compute_cam_per_layer(self, input_tensor: Any, targets: Any, eigen_smooth: Any) -> Any:
        self.values = [each.cpu().data.numpy() for each in self.activations_and_grads.activations]
        self.grads = [each.cpu().data.numpy() for each in self.activations_and_grads.gradients]
        self.classes = [target.category for target in targets]
        return super().compute_cam_per_layer(input_tensor, targets, eigen_smooth)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = Keeping(net, [net.block, net.act])
    found = cam(x, [ClassifierOutputTarget(3), ClassifierOutputTarget(0)])
    return {"map": found, "values": cam.values[1], "grads": cam.grads[0], "classes": cam.classes}
