"""The scores of ablated channels put together, asked directly and in a subclass."""

from typing import Any

import numpy as np
import torch

from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Seen(AblationCAM):
    def assemble_ablation_scores(
        self, new_scores: Any, original_score: Any, ablated_channels: Any, number_of_channels: int
    ) -> Any:
        self.original = float(original_score)
        return super().assemble_ablation_scores(new_scores, original_score, ablated_channels, number_of_channels)


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    with torch.no_grad():
        best = int(net(x).argmax())
    cam = Seen(net, [net.act])
    asked = cam.assemble_ablation_scores([0.3, 0.1, 0.2], 0.9, np.int32([4, 0, 2]), 6)
    found = cam(x, [ClassifierOutputTarget(best)])
    return {"map": found, "asked": np.float32(asked), "original": cam.original}
