"""The outputs of the explained pass, kept on the method: no second pass for the prediction."""

from typing import Any

import torch

from pytorch_grad_cam import LayerCAM
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(3)
    cam = LayerCAM(model=net, target_layers=[net.block])
    found = cam(input_tensor=x, targets=None)
    odds = torch.softmax(cam.outputs, dim=-1).detach().cpu().numpy()
    return {"map": found, "odds": odds, "classes": odds.argmax(1).tolist()}
