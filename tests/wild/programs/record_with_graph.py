"""A record that keeps the graph: activations are differentiated by hand, twice."""

from typing import Any

import torch

from pytorch_grad_cam import ActivationsAndGradients
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1).requires_grad_()
    record = ActivationsAndGradients(net, [net.conv3], None, detach=False)
    score = record(x)[0, 1] ** 2
    (kept,) = record.activations
    (first,) = torch.autograd.grad(score, kept, create_graph=True)
    (second,) = torch.autograd.grad((first * kept).sum(), kept)
    found = {"first": first.detach().numpy(), "second": second.numpy()}
    record.release()
    return found
