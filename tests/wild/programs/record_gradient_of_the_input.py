"""The graph of a record begins at the input, whose own gradient is there after the backward pass."""

from typing import Any

from pytorch_grad_cam import ActivationsAndGradients
from wild.networks import Small, images, seeded

CHANGES = ("grad",)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2).requires_grad_()
    record = ActivationsAndGradients(net, [net.act], None)
    record(x)[:, 4].sum().backward()
    first = net.conv1.weight.grad
    found = {"of input": x.grad.numpy(), "of weights": first.numpy(), "of layer": record.gradients[0].numpy()}
    record.release()
    return found
