# %% [markdown]
# # While it trains
# The same pictures after every epoch. The run ends in the same parameters as one without maps, bit for bit.
# %%
import numpy as np
import torch
from PIL import Image

from pytorch_grad_cam import EpochMaps
from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.scenes import TRAIN_SEEDS, render_scene
from pytorch_grad_cam.models.shapes import ShapesNet, preprocess

torch.manual_seed(0)
scenes = [render_scene(seed) for seed in TRAIN_SEEDS[:16]]
inputs = preprocess(np.stack([scene.image for scene in scenes]))
labels = torch.zeros(len(scenes), len(SHAPES))
for row, scene in enumerate(scenes):
    labels[row, [one.index for one in scene.objects]] = 1
# %%
model = ShapesNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
shown = [scene.objects[0].index for scene in scenes[:3]]
maps = EpochMaps(
    inputs[:3], [scene.image for scene in scenes[:3]], shown, categories=SHAPES, labels=shown, multi_label=True
)
for epoch in range(3):
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    sheet = maps(model, epoch)
    print(f"epoch {epoch}: loss {loss.item():.3f}")
Image.fromarray(sheet)
