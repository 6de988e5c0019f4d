"""An error inside a with block."""

from typing import Any

from pytorch_grad_cam import GradCAM
from wild.networks import Small, seeded

DIFFERENCES = {"swallowed": 9}


def main() -> dict[str, Any]:
    net = seeded(Small())
    try:
        with GradCAM(net, [net.act]):
            raise IndexError("of the user")
    except IndexError:
        return {"swallowed": False}
    return {"swallowed": True}
