"""Layers given against their order in the network: activations come as the network runs."""

from typing import Any

from pytorch_grad_cam import ActivationsAndGradients
from wild.networks import Small, images, seeded

CHANGES = ("grad",)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    record = ActivationsAndGradients(net, [net.act, net.conv1, net.block], None)
    record(x)[0, 3].backward()
    found = {f"activation {i}": each.numpy() for i, each in enumerate(record.activations)}
    found |= {f"gradient {i}": each.numpy() for i, each in enumerate(record.gradients)}
    record.release()
    return found
