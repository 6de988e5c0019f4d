# %% [markdown]
# # While it trains
# The same pictures after every epoch: here the bundled network gets a new head, which knows nothing, and learns the
# shapes again. The run ends in the same parameters as one without maps, bit for bit.
# %%
import numpy as np
import torch
from PIL import Image

from pytorch_grad_cam import EpochMaps
from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.scenes import TRAIN_SEEDS, render_scene
from pytorch_grad_cam.models.shapes import Head, load_shapes, preprocess

torch.manual_seed(0)
scenes = [render_scene(seed) for seed in TRAIN_SEEDS[:32]]
inputs = preprocess(np.stack([scene.image for scene in scenes]))
labels = torch.zeros(len(scenes), len(SHAPES))
for row, scene in enumerate(scenes):
    labels[row, [one.index for one in scene.objects]] = 1
# %%
model = load_shapes()
model.head = Head(96, 64, len(SHAPES))
optimizer = torch.optim.Adam(model.head.parameters(), lr=3e-3)
shown = [scene.objects[0].index for scene in scenes[:3]]
maps = EpochMaps(
    inputs[:3], [scene.image for scene in scenes[:3]], shown, categories=SHAPES, labels=shown, multi_label=True
)
sheets = []
for epoch in range(6):
    for _ in range(4):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sheets.append(maps(model, epoch))
    print(f"epoch {epoch}: loss {loss.item():.3f}")
# %% [markdown]
# After the first epoch, and after the last:
# %%
Image.fromarray(sheets[0])
# %%
Image.fromarray(sheets[-1])
