"""Clips with a reshape from pictures back to clips, the time axis averaged in the step."""

from typing import Any

import numpy as np

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Clips, images, seeded


class ForClips(GradCAM):
    def get_target_width_height(self, input_tensor: Any) -> Any:
        return input_tensor.shape[-1], input_tensor.shape[-2]

    def get_cam_weights(self, input_tensor: Any, target_layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        assert activations.shape[:2] == (2, 8)
        return np.mean(grads, axis=(2, 3))


def over_time(output: Any) -> Any:
    return output.unflatten(0, (-1, 3)).mean(1)


def main() -> dict[str, Any]:
    net = seeded(Clips())
    x = images(6, (24, 32)).reshape(2, 3, 3, 24, 32)
    cam = ForClips(net, [net.frames.act], over_time)
    return {"map": cam(input_tensor=x, targets=[ClassifierOutputTarget(1), ClassifierOutputTarget(4)])}
