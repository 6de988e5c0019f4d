"""Hooks released by hand after a call, again and again, as servers do."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    cam = GradCAM(model=net, target_layers=[net.act])
    found = cam(input_tensor=x, targets=[ClassifierOutputTarget(2)])
    cam.activations_and_grads.release()
    cam.activations_and_grads.release()
    hooks = sum(len(module._forward_hooks) for module in net.modules())
    return {"map": found, "kept": len(cam.activations_and_grads.activations), "hooks": hooks}
