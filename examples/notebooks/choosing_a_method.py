# %% [markdown]
# # Choosing a method
# A map that looks right proves nothing. Measure methods on your own network and pictures, beside maps that know no
# network. [Which method?](../../docs/which_method.md) has what was measured elsewhere.
# %%
import torch

from pytorch_grad_cam.data.scenes import render_scene
from pytorch_grad_cam.evaluation import compare
from pytorch_grad_cam.models.load import load_model

loaded = load_model("shapes")
scenes = [render_scene(seed) for seed in range(24)]
inputs = torch.stack([loaded.preprocessing(scene.image) for scene in scenes])
inputs.shape
# %%
found = compare(loaded.model, inputs, ["gradcam", "hirescam", "eigencam"], metrics=["insertion", "deletion"])
found
# %% [markdown]
# Paired, of the same pictures: is GradCAM better than chance, and by how much?
# %%
print(found.difference("gradcam", "random", "insertion"))
