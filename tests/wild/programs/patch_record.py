"""The module's record replaced, so that every method that is built uses the user's."""

from typing import Any

from pytorch_grad_cam import GradCAM, base_cam
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Named, images, seeded


class Logits(ActivationsAndGradients):
    def __call__(self, x: Any) -> Any:
        return super().__call__(x)["logits"]


def main() -> dict[str, Any]:
    net, x = seeded(Named()), images(2)
    base_cam.ActivationsAndGradients = Logits
    cam = GradCAM(net, [net.act])
    found = cam(x, [ClassifierOutputTarget(2), ClassifierOutputTarget(0)])
    return {"map": found, "top": cam(x, None), "kind": type(cam.activations_and_grads).__name__}
