"""A small vision transformer that knows the shapes of the scenes, for the gallery's pictures of attention.

    python -m tools.scene_transformer

The bundled network has no attention. Here its last maps are 16 x 16 tokens, which two blocks and a class token read
in the place of its head. Only these are trained, on rendered scenes, and stored beside this file; the command trains
them again, some minutes on two cores.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.scenes import TRAIN_SEEDS, VALIDATION_SEEDS
from pytorch_grad_cam.models.shapes import load_shapes, preprocess
from tools.train_shapes import Rendered, measure, render_all

WEIGHTS = Path(__file__).resolve().parent / "assets" / "scene_transformer.pth"
SCENES = TRAIN_SEEDS[20_000:22_000]  # of those that the bundled network was not trained on
SIDE, CHANNELS, WIDTH = 16, 96, 64  # of what the bundled network's stage4 returns; of a token
log = logging.getLogger("scene_transformer")


class SceneTransformer(nn.Module):
    """The bundled network up to `stage4`, then two blocks of attention over its 16 x 16 positions."""

    def __init__(self) -> None:
        super().__init__()
        bundled = load_shapes()
        self.stem = nn.Sequential(bundled.stem, bundled.stage1, bundled.stage2, bundled.stage3, bundled.stage4)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.vit = VisionTransformer(SIDE, 1, 2, 4, WIDTH, 2 * WIDTH, num_classes=len(SHAPES))
            self.vit.conv_proj = nn.Conv2d(CHANNELS, WIDTH, 1)
            nn.init.normal_(self.vit.heads.head.weight, std=0.02)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 10), each for a sigmoid of its own, for normalised RGB (B, 3, 128, 128)."""
        logits: Tensor = self.vit(self.stem(x))
        return logits


def load_scene_transformer() -> SceneTransformer:
    """Return the network that is stored."""
    net = SceneTransformer()
    net.vit.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    return net


def train(net: SceneTransformer, scenes: Rendered, epochs: int) -> None:
    """Train the blocks, AdamW under a one-cycle schedule; what lies before them is run once."""
    with torch.no_grad():
        features = torch.cat([net.stem(preprocess(part)) for part in torch.from_numpy(scenes.images).split(100)])
    labels = torch.from_numpy(scenes.labels)
    net.vit.requires_grad_(True)
    steps = epochs * (len(labels) // 32)
    optimizer = torch.optim.AdamW(net.vit.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.15)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(labels))[: steps // epochs * 32].split(32):
            loss = F.binary_cross_entropy_with_logits(net.vit(features[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        log.info("epoch %d of %d: loss %.4f", epoch + 1, epochs, total * epochs / steps)
    net.vit.requires_grad_(False)


def main() -> None:
    """Render, train, store, measure."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    scenes = render_all(SCENES, 2)
    torch.manual_seed(0)
    net = SceneTransformer()
    train(net, scenes, epochs=6)
    WEIGHTS.parent.mkdir(exist_ok=True)
    torch.save({name: value.half() for name, value in net.vit.state_dict().items()}, WEIGHTS)
    found = measure(load_scene_transformer(), render_all(VALIDATION_SEEDS[:500], 2))
    log.info("500 unseen scenes: recall %.3f, precision %.3f", *found)


if __name__ == "__main__":
    main()
