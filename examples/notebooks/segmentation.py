# %% [markdown]
# # Segmentation
# Any dense output will do. The network has random weights here, so that nothing is downloaded;
# `lraspp_mobilenet_v3_large(weights="DEFAULT")` finds people and cats.
# %%
import torch
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.utils.segmentation_targets import SegmentationPointTarget, SemanticSegmentationTarget

torch.manual_seed(0)
model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
picture = read_image("../images/scene_crescent_cross.png")
inputs = load_model("shapes").preprocessing(picture)[None]
cam = HiResCAM(model, "backbone.16")
# %% [markdown]
# The class with the largest region:
# %%
found = cam.explain(inputs, relu=False, images=picture)
found
# %% [markdown]
# The same class in one half of the picture, and what made one point its class:
# %%
left = torch.arange(128).expand(128, 128) < 64
cam.explain(inputs, SemanticSegmentationTarget(found.classes[0], left), relu=False, images=picture)
# %%
cam.explain(inputs, SegmentationPointTarget((64, 64)), relu=False, images=picture)
