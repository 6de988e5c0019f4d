"""The whole pass replaced on one object."""

import types
from typing import Any

from pytorch_grad_cam import HiResCAM
from wild.networks import TwoAnswers, images, seeded


def first_answer(self: Any, input_tensor: Any, targets: Any, eigen_smooth: bool = False) -> Any:
    scores, features = self.activations_and_grads(input_tensor)
    self.model.zero_grad()
    loss = scores[:, targets].sum() + 0.1 * features.sum()
    loss.backward(retain_graph=True)
    maps = self.compute_cam_per_layer(input_tensor, targets, eigen_smooth)
    return self.aggregate_multi_layers(maps)


def main() -> dict[str, Any]:
    net, x = seeded(TwoAnswers()), images(2)
    cam = HiResCAM(net, [net.conv3, net.act])
    cam.forward = types.MethodType(first_answer, cam)
    return {"map": cam(x, 3)}
