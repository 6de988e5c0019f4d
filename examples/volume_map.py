"""What is bright and what is dark in a volume? One contrast of two classes, and the slices that show most of it."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.utils.volumes import show_cam_on_volume


def network() -> nn.Module:
    """(B, 1, D, H, W) -> (B, 2): something bright, something dark."""
    layers = [nn.Conv3d(1, 2, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()]
    layers[0].weight.data = torch.stack([torch.full((1, 5, 5, 5), sign / 125) for sign in (1.0, -1.0)])
    layers[0].bias.data = torch.full((2,), -0.1)
    return nn.Sequential(*layers).eval()


def main(output: Path = Path("output/volume_map.png")) -> np.ndarray:
    z, y, x = np.ogrid[:20, :32, :40]  # slices 2 mm apart, pixels of 1 mm
    volume = np.random.default_rng(0).normal(0, 0.1, (20, 32, 40)).astype(np.float32)
    volume += (4 * (z - 5) ** 2 + (y - 10) ** 2 + (x - 10) ** 2 < 50).astype(np.float32)
    volume -= (4 * (z - 14) ** 2 + (y - 20) ** 2 + (x - 28) ** 2 < 50).astype(np.float32)

    explanation = GradCAM(network()).explain(torch.from_numpy(volume)[None, None], contrast=(0, 1))
    heatmap = explanation.numpy()[0]  # (20, 32, 40), in [-1, 1]: bright is 1, dark is -1

    picture = show_cam_on_volume(volume, heatmap, slices=6, choose="evidence", spacing=(2, 1, 1), signed=True)
    write_image(output, picture)
    print(f"{output}: bright at {np.unravel_index(heatmap.argmax(), heatmap.shape)}")
    return heatmap


if __name__ == "__main__":
    main()
