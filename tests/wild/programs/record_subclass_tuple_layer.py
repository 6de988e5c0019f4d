"""A record whose hooks pick the first part of a layer that returns a tuple."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import WithPair, images, seeded


class First(ActivationsAndGradients):
    def save_activation(self, module: Any, input: Any, output: Any) -> None:
        super().save_activation(module, input, output[0])

    def save_gradient(self, module: Any, input: Any, output: Any) -> None:
        super().save_gradient(module, input, output[0])


def main() -> dict[str, Any]:
    net, x = seeded(WithPair()), images(2)
    cam = GradCAM(net, [net.pair])
    cam.activations_and_grads.release()
    cam.activations_and_grads = First(net, [net.pair], None)
    found = cam(x, [ClassifierOutputTarget(0), ClassifierOutputTarget(3)])
    return {"map": found, "kept": cam.activations_and_grads.activations[0].numpy()}
