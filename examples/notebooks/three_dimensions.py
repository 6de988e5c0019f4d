# %% [markdown]
# # Volumes
# Everything that holds for pictures holds for volumes. This network is made by hand: its first class is "something
# bright", its second "something dark".
# %%
import numpy as np
import torch
from PIL import Image
from torch import nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.volumes import show_cam_on_volume

model = nn.Sequential(nn.Conv3d(1, 2, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()).eval()
model[0].weight.data = torch.stack([torch.full((1, 5, 5, 5), sign / 125) for sign in (1.0, -1.0)])
model[0].bias.data = torch.full((2,), -0.1)

z, y, x = np.ogrid[:20, :32, :40]
volume = np.random.default_rng(0).normal(0, 0.1, (20, 32, 40)).astype(np.float32)
volume += 4 * (z - 5) ** 2 + (y - 10) ** 2 + (x - 10) ** 2 < 50  # bright
volume -= 4 * (z - 14) ** 2 + (y - 20) ** 2 + (x - 28) ** 2 < 50  # dark
# %% [markdown]
# What is bright (red) rather than dark (blue):
# %%
map = GradCAM(model).explain(torch.from_numpy(volume)[None, None], contrast=(0, 1)).numpy()[0]
assert map[5, 10, 10] > 0.8
assert map[14, 20, 28] < -0.8
Image.fromarray(show_cam_on_volume(volume, map, slices=6, choose="evidence", spacing=(2, 1, 1), signed=True))
