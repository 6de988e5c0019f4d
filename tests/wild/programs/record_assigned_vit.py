"""A record with a reshape of one's own replaces the one the constructor made, as for transformers."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Tokens, images, seeded


def grid(tokens: Any) -> Any:
    side = int((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].reshape(len(tokens), side, side, -1).permute(0, 3, 1, 2)


def main() -> dict[str, Any]:
    net, x = seeded(Tokens()), images(2, (20, 20))
    cam = GradCAM(model=net, target_layers=[net.blocks[-1].norm1])
    cam.activations_and_grads.release()
    cam.activations_and_grads = ActivationsAndGradients(cam.model, cam.target_layers, grid)
    return {
        "map": cam(input_tensor=x, targets=[ClassifierOutputTarget(1), ClassifierOutputTarget(3)]),
        "again": cam(input_tensor=x, targets=None, eigen_smooth=False),
    }
