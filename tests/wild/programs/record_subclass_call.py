"""A record whose call returns another part of a tuple that the network answers with."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from wild.networks import TwoAnswers, images, seeded


class Second(ActivationsAndGradients):
    def __call__(self, x: Any) -> Any:
        self.gradients = []
        self.activations = []
        return self.model(x)[1]


def main() -> dict[str, Any]:
    net, x = seeded(TwoAnswers()), images(2)
    cam = GradCAM(net, [net.conv3])
    cam.activations_and_grads.release()
    cam.activations_and_grads = Second(net, [net.conv3], None)
    return {"map": cam(x, [lambda row: row[1], lambda row: row.sum()]), "outputs": cam.outputs.detach().numpy()}
