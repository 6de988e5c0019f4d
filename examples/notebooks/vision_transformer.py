# %% [markdown]
# # A vision transformer
# Tokens are laid out as the picture without a `reshape_transform`. This small one knows the shapes of the scenes and
# lies in the repository, so that nothing is downloaded; `vit_b_16(weights="DEFAULT")` is asked alike.
# %%
import sys

sys.path.append("../..")  # the repository, for its tools

from pytorch_grad_cam import AttentionRelevance, AttentionRollout, GradCAM
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.models.load import load_model
from tools.scene_transformer import load_scene_transformer

loaded = load_model("shapes")  # for its preprocessing and the names of the classes
vit = load_scene_transformer()
picture = read_image("../images/scene_star_ring.png")
inputs = loaded.preprocessing(picture)[None]
asked = {"images": picture}
GradCAM(vit, categories=loaded.categories).explain_each(inputs, ["star", "ring"], **asked)
# %% [markdown]
# A method that reads the attention itself, and its gradients:
# %%
relevance = AttentionRelevance(vit, categories=loaded.categories)
relevance.explain_each(inputs, ["star", "ring"], **asked)
# %% [markdown]
# Attention rollout asks for no class: it shows what the class token reads, whatever that is read for.
# %%
AttentionRollout(vit).explain(inputs, **asked)
# %% [markdown]
# Where each head of each block looks:
# %%
{name: tuple(heads.shape) for name, heads in relevance.head_maps(inputs).items()}
