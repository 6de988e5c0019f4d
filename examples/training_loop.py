"""Look at maps after every epoch, in TensorBoard if it is installed. Parameters and losses do not change by it."""

import numpy as np
import torch

from pytorch_grad_cam import EpochMaps
from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.scenes import TRAIN_SEEDS, render_scene
from pytorch_grad_cam.models.shapes import ShapesNet, preprocess


def train(epochs: int = 3, *, draw: bool = True, images: int = 16, writer=None) -> tuple:
    """Train a little network; return it, its losses and a sheet of maps for every epoch."""
    torch.manual_seed(0)
    scenes = [render_scene(seed) for seed in TRAIN_SEEDS[:images]]
    inputs = preprocess(np.stack([scene.image for scene in scenes]))
    labels = torch.zeros(images, 10)
    for row, scene in enumerate(scenes):
        labels[row, [one.index for one in scene.objects]] = 1

    model = ShapesNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    wanted = [scene.objects[0].index for scene in scenes[:4]]
    pictures = [scene.image for scene in scenes[:4]]
    names = {"categories": SHAPES, "labels": wanted, "multi_label": True}
    maps = EpochMaps(inputs[:4], pictures, wanted, writer, target_layers="stage4", relu=False, **names)
    losses, sheets = [], []
    for epoch in range(epochs):
        for batch in torch.randperm(images).split(8):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if draw:
            sheets.append(maps(model, epoch))
    return model, losses, sheets


if __name__ == "__main__":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        SummaryWriter = None
    _, losses, sheets = train(writer=SummaryWriter and SummaryWriter())
    for epoch, sheet in enumerate(sheets):
        print(f"epoch {epoch}: loss {losses[2 * epoch + 1]:.3f}, {sheet.shape[1]} x {sheet.shape[0]} pixels of maps")
