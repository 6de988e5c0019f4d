"""A network that answers with a tuple: the first target sees the first part, for the whole batch."""

from typing import Any

from pytorch_grad_cam import GradCAM
from wild.networks import TwoAnswers, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(TwoAnswers()), images(1)
    cam = GradCAM(model=net, target_layers=[net.act])
    found = cam(x, [lambda scores: scores[:, 2].sum(), lambda features: features[:, 1].sum() / 2])
    return {"map": found, "parts": len(cam.outputs)}
