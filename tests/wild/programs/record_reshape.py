"""A record with a reshape for tokens: activations and gradients both are turned into grids."""

from typing import Any

from pytorch_grad_cam import ActivationsAndGradients
from wild.networks import Tokens, images, seeded

CHANGES = ("grad",)


def main() -> dict[str, Any]:
    net, x = seeded(Tokens()), images(2, (20, 20))
    record = ActivationsAndGradients(net, [net.blocks[0]], lambda t: t[:, 1:].unflatten(1, (5, 5)).movedim(-1, 1))
    record(x)[:, 1].sum().backward()
    weights = record.gradients[0].mean((2, 3), keepdim=True)
    found = {"map": (weights * record.activations[0]).sum(1).numpy(), "weights": weights.numpy()}
    record.release()
    return found
