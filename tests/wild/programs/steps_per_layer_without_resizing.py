"""Maps at the layer's own resolution and unscaled, as research code wants them."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Raw(GradCAM):
    def compute_cam_per_layer(self, input_tensor: Any, targets: Any, eigen_smooth: Any) -> Any:
        record = self.activations_and_grads
        pairs = zip(self.target_layers, record.activations, record.gradients, strict=True)
        maps = []
        for layer, values, grads in pairs:
            one = self.get_cam_image(
                input_tensor, layer, targets, values.cpu().data.numpy(), grads.cpu().data.numpy(), eigen_smooth
            )
            maps.append(one[:, None])
        return maps

    def aggregate_multi_layers(self, cam_per_target_layer: Any) -> Any:
        return np.concatenate(cam_per_target_layer, axis=1)[:, 0]


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    return {"map": Raw(net, [net.act])(x, [ClassifierOutputTarget(3)] * 2)}
