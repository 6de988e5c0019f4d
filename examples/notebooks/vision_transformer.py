# %% [markdown]
# # A vision transformer
# Tokens are laid out as the picture without a `reshape_transform`. This network has random weights, so that nothing is
# downloaded: its maps have the right form and mean nothing. `vit_b_16(weights="DEFAULT")` has weights.
# %%
import torch
from torchvision.models import VisionTransformer

from pytorch_grad_cam import AttentionRelevance, GradCAM
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.models.load import load_model

torch.manual_seed(0)
vit = VisionTransformer(128, 16, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=10).eval()
torch.nn.init.normal_(vit.heads.head.weight)  # torchvision begins with zeros, of which there is nothing to explain
picture = read_image("../images/scene_star_ring.png")
inputs = load_model("shapes").preprocessing(picture)[None]
GradCAM(vit).explain(inputs, 3, images=picture)
# %% [markdown]
# A method that reads the attention itself:
# %%
relevance = AttentionRelevance(vit)
relevance.explain(inputs, 3, images=picture)
# %% [markdown]
# Where each head of each block looks:
# %%
{name: tuple(heads.shape) for name, heads in relevance.head_maps(inputs).items()}
