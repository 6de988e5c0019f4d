"""A layer of ablation of the user's own: channels are replaced by their mean."""

from typing import Any

import torch

from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Means(AblationLayer):
    def __call__(self, x: Any) -> Any:
        output = self.activations
        for row, channel in enumerate(self.indices[: len(output)]):
            output[row, channel] = output[row, channel].mean() / 2
        return output


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    with torch.no_grad():
        best = net(x).argmax(1).tolist()
    cam = AblationCAM(net, [net.act], ablation_layer=Means(), batch_size=3)
    return {"map": cam(x, [ClassifierOutputTarget(one) for one in best]), "same": net.act.__class__.__name__}
