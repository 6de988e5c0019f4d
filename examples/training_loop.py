"""Look at a map after every epoch. The training does not notice: parameters and losses are the same without it."""

import numpy as np
import torch

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.data.scenes import TRAIN_SEEDS, render_scene
from pytorch_grad_cam.models.shapes import ShapesNet, preprocess


def train(epochs: int = 3, *, draw: bool = True, images: int = 16) -> tuple[ShapesNet, list[float], list[np.ndarray]]:
    """Train a little network; return it, its losses and the maps ``(128, 128)`` that were drawn on the way."""
    torch.manual_seed(0)
    scenes = [render_scene(seed) for seed in TRAIN_SEEDS[:images]]
    inputs = preprocess(np.stack([scene.image for scene in scenes]))
    labels = torch.zeros(images, 10)
    for row, scene in enumerate(scenes):
        labels[row, [one.index for one in scene.objects]] = 1

    model = ShapesNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses, maps = [], []
    for _ in range(epochs):
        for batch in torch.randperm(images).split(8):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if draw:
            target = scenes[0].objects[0].index
            maps.append(GradCAM(model, model.stage4).explain(inputs[:1], target, relu=False).numpy()[0])
    return model, losses, maps


if __name__ == "__main__":
    _, losses, maps = train()
    for epoch, heatmap in enumerate(maps):
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        print(f"epoch {epoch}: loss {losses[2 * epoch + 1]:.3f}, strongest evidence at x={x}, y={y}")
