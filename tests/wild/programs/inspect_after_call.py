"""What the layer returned and its gradient, read from the method after a call."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import images, resnet


def main() -> dict[str, Any]:
    net, x = resnet(), images(1, (64, 64))
    cam = GradCAM(model=net, target_layers=[net.layer3[-1], net.layer4[-1]])
    found = cam(input_tensor=x, targets=[ClassifierOutputTarget(3)])
    record = cam.activations_and_grads
    return {
        "map": found,
        "activations": record.activations[0].numpy(),
        "gradients": record.gradients[1].cpu().numpy(),
        "layers": [len(record.activations), len(record.gradients)],
        "detached": not record.activations[0].requires_grad,
    }
