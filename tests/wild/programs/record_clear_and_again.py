"""A record that is cleared between two pictures and used again."""

from typing import Any

from pytorch_grad_cam import ActivationsAndGradients
from wild.networks import Small, images, seeded

CHANGES = ("grad",)


def main() -> dict[str, Any]:
    net = seeded(Small())
    record = ActivationsAndGradients(net, [net.act], None, True)
    found: dict[str, Any] = {}
    for seed in (1, 2):
        record(images(1, seed=seed)).amax().backward()
        found[f"activation {seed}"] = record.activations[0].numpy().copy()
        found[f"gradient {seed}"] = record.gradients[0].numpy().copy()
        record.clear()
        found[f"left {seed}"] = len(record.activations) + len(record.gradients)
    record.release()
    return found
