"""A record that writes hooks of its own from nothing and keeps what it saw in its own lists."""

from typing import Any

from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from wild.networks import Small, images, seeded

CHANGES = ("grad",)


class Lists(ActivationsAndGradients):
    def save_activation(self, module: Any, input: Any, output: Any) -> None:
        self.activations.append(output.detach() * 2)

    def save_gradient(self, module: Any, input: Any, output: Any) -> None:
        output.register_hook(lambda grad: self.gradients.append(grad.abs()))


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    record = Lists(net, [net.conv1, net.act], None)
    record(x)[:, 2].sum().backward()
    found = {f"activations {i}": each.numpy() for i, each in enumerate(record.activations)}
    found |= {f"gradients {i}": each.numpy() for i, each in enumerate(record.gradients)}
    record.release()
    return found
