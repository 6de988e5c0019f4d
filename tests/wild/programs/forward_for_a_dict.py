"""A pass of one's own for a network that answers with a dict."""

from typing import Any

from pytorch_grad_cam import GradCAM
from wild.networks import Named, images, seeded


class ForDicts(GradCAM):
    def forward(self, input_tensor: Any, targets: Any, eigen_smooth: bool = False) -> Any:
        self.outputs = self.activations_and_grads(input_tensor)
        logits = self.outputs["logits"]
        self.model.zero_grad()
        logits.gather(1, logits.argmax(1, keepdim=True)).sum().backward(retain_graph=True)
        return self.aggregate_multi_layers(self.compute_cam_per_layer(input_tensor, targets, eigen_smooth))


def main() -> dict[str, Any]:
    net, x = seeded(Named()), images(2)
    cam = ForDicts(net, [net.act])
    found = cam(x, None)
    return {"map": found, "features": cam.outputs["features"].detach().numpy()}
