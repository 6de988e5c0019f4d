"""A record's hooks stay until it is released, so calls of the network itself are recorded, too."""

from typing import Any

import torch

from pytorch_grad_cam import ActivationsAndGradients
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    record = ActivationsAndGradients(net, [net.block, net.act], None)
    handles = len(record.handles)
    with torch.no_grad():
        net(x)
        net(x + 1)
    kept = len(record.activations)
    last = record.activations[-1].numpy()
    record.release()
    net(x)
    return {
        "last": last,
        "kept": kept,
        "gradients": len(record.gradients),
        "after": len(record.activations),
        "handles": [handles, len(record.handles)],
    }
