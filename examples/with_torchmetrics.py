"""A metric of maps over a data set, averaged by torchmetrics, also across processes."""

import torch
from torchmetrics import MeanMetric

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.metrics.localisation import pointing_hits


def pointing_game(model: torch.nn.Module, batches: list[tuple[torch.Tensor, ...]]) -> float:
    cam, mean = GradCAM(model), MeanMetric()
    for images, classes, masks in batches:
        mean.update(torch.as_tensor(pointing_hits(cam(images, classes), masks)))
    return mean.compute().item()
