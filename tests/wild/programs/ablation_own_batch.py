"""A layer of ablation that makes its batches itself, as detection tools do for pyramids."""

from typing import Any

import torch

from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Batches(AblationLayer):
    def set_next_batch(self, input_batch_index: int, activations: Any, num_channels_to_ablate: int) -> None:
        self.activations = activations[input_batch_index].expand(num_channels_to_ablate, -1, -1, -1).clone()

    def __call__(self, x: Any) -> Any:
        for row in range(len(self.activations)):
            self.activations[row, int(self.indices[row])] = 0
        return self.activations


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    with torch.no_grad():
        best = int(net(x).argmax())
    cam = AblationCAM(model=net, target_layers=[net.act], ablation_layer=Batches())
    cam.batch_size = 5
    return {"map": cam(x, [ClassifierOutputTarget(best)])}
