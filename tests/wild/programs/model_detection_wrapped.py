"""A detector's answer turned into a list of dicts by a wrapper, and boxes as the target."""

from typing import Any

import numpy as np
import torch
from torch import nn

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from wild.networks import Grids, images, seeded


class Listed(nn.Module):
    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        answers = []
        for one in self.net(x)[0]:
            near, far = one[:2].T, one[2:4].T
            scores, labels = one[4:].max(0)
            answers.append({"boxes": torch.cat([near, near + far], 1), "labels": labels, "scores": scores})
        return answers


def main() -> dict[str, Any]:
    net, x = seeded(Grids()), images(1)
    model = Listed(net)
    with torch.no_grad():
        best = model(x)[0]
    order = best["scores"].argsort(descending=True)[:3]
    boxes, labels = np.float32(best["boxes"][order]), best["labels"][order].tolist()
    cam = HiResCAM(model, [net.act])
    return {"map": cam(x, targets=[FasterRCNNBoxScoreTarget(labels=labels, bounding_boxes=boxes)]), "labels": labels}
