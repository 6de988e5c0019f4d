"""Two backward passes of one forward pass: a gradient for each is kept, the newest first."""

from typing import Any

from pytorch_grad_cam import ActivationsAndGradients
from wild.networks import Small, images, seeded

CHANGES = ("grad",)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    record = ActivationsAndGradients(net, [net.block, net.act], None)
    scores = record(x)
    scores[:, 0].sum().backward(retain_graph=True)
    scores[:, 1].sum().backward()
    found = {f"gradient {i}": each.numpy() for i, each in enumerate(record.gradients)}
    facts = {"gradients": len(record.gradients), "activations": len(record.activations)}
    record.release()
    return found | facts
